"""`baseline.json`: each network compared with itself in another run."""

from __future__ import annotations

from typing import ClassVar

from .base import Contract, record
from .comparison import Pair
from .fields import Count, Text


@record
class Baseline(Contract):
    """Comparison with a baseline run.

    Attributes:
        dataset: Dataset of both runs.
        recipe, code, steps: As recorded by the baseline run.
        pairs: Pairs with the reference `baseline`; the difference is this run − baseline.
    """

    kind: ClassVar[str] = "baseline"
    writer: ClassVar[str | None] = "compare"
    dataset: Text
    recipe: Text
    code: tuple[Text, ...]
    steps: tuple[Count, ...]
    pairs: tuple[Pair, ...]
