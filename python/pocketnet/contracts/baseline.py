"""`baseline.json`: each network beside itself in another run."""

from __future__ import annotations

from typing import ClassVar

from .base import Contract, record
from .comparison import Pair
from .fields import Count, Text


@record
class Baseline(Contract):
    """The pairs with a baseline.

    Attributes:
        dataset: Of both runs.
        recipe, code, steps: Of the baseline.
        pairs: With the reference `baseline`; the difference is this − baseline.
    """

    kind: ClassVar[str] = "baseline"
    writer: ClassVar[str | None] = "compare"
    dataset: Text
    recipe: Text
    code: tuple[Text, ...]
    steps: tuple[Count, ...]
    pairs: tuple[Pair, ...]
