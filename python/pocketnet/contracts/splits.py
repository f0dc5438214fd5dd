"""`splits.json`: which cases are trained on, validated on and tested on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from ..errors import UsageError
from .base import Contract, Record, record
from .fields import CaseName, Count, Distinct, Number, Positive, Text, Whole, absent

Cases = Annotated[tuple[CaseName, ...], Field(min_length=1), Distinct()]


def fewest_cases(folds: int) -> int:
    """Minimum labelled cases for `folds` folds: each has some to train on, to validate and to test."""
    return 4 if folds == 2 else max(folds, 3)


def too_few(classes: Iterable[tuple[str, str]], folds: int) -> list[str]:
    """Why so many folds cannot be made: a line for each class that has too few images.

    In each fold a class needs one image each for training, validation and test, from different patients.

    Args:
        classes: An image's class and what it must stay together with (its patient, or itself), each.
        folds: 1 for a listed test set, whose images are not among these.
    """
    counts = Counter(name for name, _ in set(classes))
    lines = []
    for name, count in sorted(counts.items()):
        left = count - (math.ceil(count / folds) if folds > 1 else 0)
        if count < folds or left < 2:
            lines.append(f"class {name!r} has {count} example{'s' * (count != 1)} (images of different patients): "
                         + (f"{folds} folds need one for the test of each fold, and two others for training and "
                            "validation" if folds > 1 else "training and validation need one each"))
    return lines


@record
class Intensity(Record):
    """A modality's constants for normalisation, from labelled voxels of training cases.

    Attributes:
        modality: Its name.
        mean, std, p0_5, p99_5: Of the intensities; p are percentiles.
    """

    modality: Text
    mean: Number
    std: Number
    p0_5: Number
    p99_5: Number


@record
class Fold(Record):
    """A fold, or one of nested training sets.

    Attributes:
        fold: Its number.
        train: Cases whose images and labels the network learns from.
        validation: Cases that choose the best checkpoint.
        test: Cases that are reported.
        intensity: Constants by modality, from `train` only.
        train_size: Number of training cases, of nested training sets.
    """

    fold: Count
    train: Cases
    validation: Cases
    test: Cases
    intensity: Annotated[tuple[Intensity, ...], Field(min_length=1)]
    train_size: Positive | None = absent()

    @model_validator(mode="after")
    def _check(self) -> Any:
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            both = set(getattr(self, first)) & set(getattr(self, second))
            if both:
                raise ValueError(f"parts without a common case; {min(both)!r} is in {first} and {second}")
        return self


@record
class Splits(Contract):
    """All folds of a plan.

    Attributes:
        dataset: As in the manifest.
        rule: How the cases are split, in words.
        seed: Of the shuffling.
        folds: Each with a number of its own.
    """

    kind: ClassVar[str] = "splits"
    writer: ClassVar[str | None] = "plan"
    dataset: Text
    rule: Text
    seed: Whole
    folds: Annotated[tuple[Fold, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Any:
        numbers = [fold.fold for fold in self.folds]
        if len(set(numbers)) != len(numbers):
            raise ValueError(f"folds with different numbers, not {numbers}")
        return self

    def fold(self, number: int) -> Fold:
        """The fold of a number.

        Raises:
            UsageError: There is none.
        """
        for fold in self.folds:
            if fold.fold == number:
                return fold
        raise UsageError(f"There is no fold {number}.", todo=f"Use {', '.join(str(f.fold) for f in self.folds)}.")
