"""`activations.json`: how active each feature map of a network's last layer is."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import Contract, record
from .fields import Count, Number, Positive, Text


@record
class Activations(Contract):
    """Mean activations.

    Attributes:
        dataset, arch, width, fold, recipe, parameters, code, run_key: As in the network's provenance.
        cases: Test cases that windows were taken from.
        patches: Number of windows.
        means: Of each feature map of the last layer before the head, over voxels and windows.
    """

    kind: ClassVar[str] = "activations"
    writer: ClassVar[str | None] = "activations"
    dataset: Text
    arch: Text
    width: Text
    fold: Count
    recipe: Text
    parameters: Count
    code: Text
    run_key: Text
    cases: Positive
    patches: Positive
    means: Annotated[tuple[Number, ...], Field(min_length=1)]
