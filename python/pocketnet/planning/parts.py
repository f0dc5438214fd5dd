"""The parts that a split divides cases into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Parts(NamedTuple):
    """Case names of a fold, or of one of nested training sets.

    Attributes:
        train: Those that the network learns from.
        validation: Those that choose the best checkpoint.
        test: Those that are reported.
        train_size: Number of training cases, of nested training sets.
    """

    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    train_size: int | None = None
