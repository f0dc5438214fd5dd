"""`overlays.json` of an evaluation: a list of its pictures."""

from __future__ import annotations

from typing import ClassVar, Literal

from .base import Contract, Record, record
from .fields import CaseName, Number, Path, Share, Text, absent

Rank = Literal["best", "median", "worst", "wrong"]


@record
class Overlay(Record):
    """A picture of a case.

    Attributes:
        case: Name of the case.
        file: Path within the evaluation's folder.
        rank: Why the case was chosen.
        dice: Mean Dice over the case's labels; None if undefined.
        probability: Probability of the true class (classification).
        class_name, predicted: True class and most probable class (classification).
    """

    case: CaseName
    file: Path
    rank: Rank
    dice: Number | None = absent()
    probability: Share | None = absent()
    class_name: Text | None = absent(alias="class")
    predicted: Text | None = absent()


@record
class Thumbnail(Record):
    """A small picture of a case.

    Attributes:
        case: Name of the case.
        file: Path within the evaluation's folder.
    """

    case: CaseName
    file: Path


@record
class Overlays(Contract):
    """The pictures of an evaluation.

    Attributes:
        overlays: Of chosen cases.
        thumbnails: Of the worst cases, worst first.
    """

    kind: ClassVar[str] = "overlays"
    writer: ClassVar[str | None] = "evaluate"
    overlays: tuple[Overlay, ...]
    thumbnails: tuple[Thumbnail, ...] = ()
