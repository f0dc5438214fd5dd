"""`overlays.json` of an evaluation: its pictures of cases."""

from __future__ import annotations

from typing import ClassVar, Literal

from .base import Contract, Record, record
from .fields import CaseName, Number, Path, Share, Text, absent

Rank = Literal["best", "median", "worst", "wrong"]


@record
class Overlay(Record):
    """A picture.

    Attributes:
        case: What it shows.
        file: Path within the evaluation's folder.
        rank: Why the case was chosen.
        dice: Mean over its labels; None: not defined.
        probability: Of the true class (classification).
        class_name, predicted: The true class and the most probable one (classification).
    """

    case: CaseName
    file: Path
    rank: Rank
    dice: Number | None = absent()
    probability: Share | None = absent()
    class_name: Text | None = absent(alias="class")
    predicted: Text | None = absent()


@record
class Overlays(Contract):
    """The pictures of an evaluation."""

    kind: ClassVar[str] = "overlays"
    writer: ClassVar[str | None] = "evaluate"
    overlays: tuple[Overlay, ...]
