"""`splits.json`: the training, validation and test cases of each fold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from ..errors import UsageError
from ..text import counted
from .base import Contract, Record, record
from .fields import CaseName, Count, Distinct, Number, Positive, Prose, Text, Whole, absent
from .ranges import TrainingRanges

Cases = Annotated[tuple[CaseName, ...], Field(min_length=1), Distinct()]


def fewest_cases(folds: int) -> int:
    """Return the minimum number of labelled cases for `folds` folds, each with training, validation and test cases."""
    return 4 if folds == 2 else max(folds, 3)


def too_few(classes: Iterable[tuple[str, str]], folds: int) -> list[str]:
    """Return a message for each class that has too few images for `folds` folds.

    In each fold, a class needs at least one image for training, one for validation and one for test, from different
    patients.

    Args:
        classes: (class, group) per image. Images of one group (patient, or the image itself) stay in one part.
        folds: Number of folds; 1 for a listed test set, whose images must not be in `classes`.
    """
    counts = Counter(name for name, _ in set(classes))
    lines = []
    for name, count in sorted(counts.items()):
        left = count - (math.ceil(count / folds) if folds > 1 else 0)
        if count < folds or left < 2:
            lines.append(f"class {name!r} has {counted(count, 'example')} (images of different patients): "
                         + (f"{folds} folds need one for the test of each fold, and two others for training and "
                            "validation" if folds > 1 else "training and validation need one each"))
    return lines


@record
class Intensity(Record):
    """Normalisation constants of a modality.

    Attributes:
        modality: Name of the modality.
        mean, std, p0_5, p99_5: Over labelled voxels of the training cases; p0_5 and p99_5 are the 0.5th and 99.5th
            percentile.
    """

    modality: Text
    mean: Number
    std: Number
    p0_5: Number
    p99_5: Number


@record
class Fold(Record):
    """A fold, or one of several nested training sets.

    Attributes:
        fold: Number of the fold.
        train: Training cases.
        validation: Cases used to select the best checkpoint.
        test: Cases used for the reported results.
        intensity: Normalisation constants per modality, from `train` only.
        train_size: Number of training cases, for nested training sets.
        ranges: Ranges of the images of `train`.
    """

    fold: Count
    train: Cases
    validation: Cases
    test: Cases
    intensity: Annotated[tuple[Intensity, ...], Field(min_length=1)]
    train_size: Positive | None = absent()
    ranges: TrainingRanges | None = absent()

    @model_validator(mode="after")
    def _check(self) -> Any:
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            both = set(getattr(self, first)) & set(getattr(self, second))
            if both:
                raise ValueError(f"parts that share no case; {min(both)!r} is in {first} and {second}")
        if self.ranges and [one.modality for one in self.ranges.intensities] != [
                one.modality for one in self.intensity]:
            raise ValueError("ranges of the modalities of intensity, in the same order")
        return self


@record
class Splits(Contract):
    """All folds of a plan.

    Attributes:
        dataset: Name of the dataset, as in the manifest.
        rule: Description of how the cases are split.
        seed: Seed of the shuffling.
        folds: Folds with unique numbers.
    """

    kind: ClassVar[str] = "splits"
    writer: ClassVar[str | None] = "plan"
    dataset: Text
    rule: Prose
    seed: Whole
    folds: Annotated[tuple[Fold, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Any:
        numbers = [fold.fold for fold in self.folds]
        if len(set(numbers)) != len(numbers):
            raise ValueError(f"folds with different numbers, not {numbers}")
        return self

    def fold(self, number: int) -> Fold:
        """Return the fold with this number.

        Raises:
            UsageError: If there is no such fold.
        """
        for fold in self.folds:
            if fold.fold == number:
                return fold
        raise UsageError(f"There is no fold {number}.", todo=f"Use {', '.join(str(f.fold) for f in self.folds)}.")
