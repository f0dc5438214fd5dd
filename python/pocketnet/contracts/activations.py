"""`activations.json`: the mean activation of each feature map of a network's last layer."""

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
        cases: Number of test cases.
        patches: Number of patches taken from these cases.
        means: Mean activation over voxels and patches, per feature map of the last layer before the head.
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
