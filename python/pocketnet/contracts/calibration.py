"""`calibration.json` of a model folder: from the features of a prediction to a statement on its quality.

`evaluation.statement.apply` has the arithmetic, which other programs can repeat. All of it is from cases that the
network that predicted them had not seen.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from .base import Contract, Record, record
from .fields import AboveZero, Count, NotNegative, Number, Pair, Positive, Share, Text, Unique

Names = Annotated[Unique[Text], Field(min_length=1)]
Numbers = Annotated[tuple[Number, ...], Field(min_length=1)]
LEAST = 20
"""Minimum calibration cases for a bound with a coverage of 90 %."""


def needed(coverage: float) -> int:
    """Return the minimum number of calibration cases for a bound: 2 of them are expected to miss it."""
    return max(LEAST, round(2 / (1 - coverage)))


@record
class Standard(Record):
    """Features in standard deviations from their mean: z = (value − mean) / scale.

    Attributes:
        features: Their names, as in `features.csv`.
        mean, scale: Per feature.
    """

    features: Names
    mean: Numbers
    scale: Annotated[tuple[AboveZero, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Any:
        if not len(self.features) == len(self.mean) == len(self.scale):
            raise ValueError("as many means and scales as features")
        return self


@record
class Novelty(Record):
    """How unlike the calibration cases something is: the distance √(zᵀ · precision · z / number of features).

    Attributes:
        standard: The features.
        precision: Inverse of the covariance of z, a row per feature.
        limit: A distance above this is unusual.
    """

    standard: Standard
    precision: Annotated[tuple[Numbers, ...], Field(min_length=1)]
    limit: AboveZero

    @model_validator(mode="after")
    def _check(self) -> Any:
        if {len(self.precision), *map(len, self.precision)} != {len(self.standard.features)}:
            raise ValueError("a square precision with a row per feature")
        return self


@record
class ExpectedDice(Record):
    """The expected Dice: intercept + Σ weight · z, cut to 0…1.

    Attributes:
        standard: The features.
        weights: Per feature.
        intercept: Mean Dice of the calibration cases.
        margin: The lower bound is so much lower; None with too few cases.
    """

    standard: Standard
    weights: Numbers
    intercept: Share
    margin: Number | None

    @model_validator(mode="after")
    def _check(self) -> Any:
        if len(self.weights) != len(self.standard.features):
            raise ValueError("as many weights as features")
        return self


@record
class HeldOut(Record):
    """How the statements agree with the truth for cases that their calibration left out.

    Attributes:
        cases: Number of cases with a bound.
        coverage: Share of cases whose Dice is at least the lower bound.
        volume_coverage: Share of cases whose volume is in its interval.
        gap: Mean of Dice minus lower bound.
        correlation: Pearson's, of expected and true Dice; None if one of them is constant.
        error: Root of the mean squared difference of expected and true Dice.
        risk: Share of cases that are kept, most trusted first, and their mean 1 − Dice: the risk–coverage curve.
    """

    cases: Positive
    coverage: Share
    volume_coverage: Share
    gap: Number
    correlation: Number | None
    error: NotNegative
    risk: tuple[Pair, ...]


@record
class LabelCalibration(Record):
    """The calibration of one label.

    Attributes:
        label: Name of the label.
        cases: Calibration cases in which the network found the label.
        dice: None without such cases.
        volume: True volume relative to the predicted one, natural logarithm: lower and upper limit of the interval, a
            lower limit of None stands for a true volume of 0; None with too few cases.
        novelty: Of the prediction of this label; None without cases.
        absent: Calibration cases in which it did not find the label.
        absent_rightly: Those of them whose reference does not have it either.
        held_out: None with too few cases.
    """

    label: Text
    cases: Count
    dice: ExpectedDice | None
    volume: tuple[Number | None, Number] | None
    novelty: Novelty | None
    absent: Count
    absent_rightly: Count
    held_out: HeldOut | None


@record
class Flags(Record):
    """How many cases each flag has, with the calibration's thresholds and cases that their calibration left out."""

    accept: Count
    look: Count
    reject: Count


@record
class Calibration(Contract):
    """The calibration of the networks of a cross-validation, one per fold; the cases of all folds calibrate them all.

    Attributes:
        dataset, arch, width: The networks.
        folds: Folds whose test cases calibrate.
        run_keys: Run keys of the networks, in the order of the folds.
        predictions: Number of predictions that were averaged at each voxel.
        cases: Number of calibration cases.
        coverage: Stated coverage of lower bounds and intervals.
        accept: A lower bound of a Dice below this is a reason to look.
        reject: An expected Dice below this is a reason to reject.
        image: Novelty of the images.
        labels: One calibration per label, in their order.
        flags: None with too few cases.
    """

    kind: ClassVar[str] = "calibration"
    writer: ClassVar[str | None] = "calibrate"
    dataset: Text
    arch: Text
    width: Text
    folds: Annotated[Unique[Count], Field(min_length=1)]
    run_keys: Annotated[Unique[Text], Field(min_length=1)]
    predictions: Positive
    cases: Positive
    coverage: Share
    accept: Share
    reject: Share
    image: Novelty
    labels: Annotated[tuple[LabelCalibration, ...], Field(min_length=1)]
    flags: Flags | None

    @model_validator(mode="after")
    def _check(self) -> Any:
        if len(self.folds) != len(self.run_keys):
            raise ValueError("as many run_keys as folds")
        if not 0 < self.coverage < 1:
            raise ValueError("a coverage between 0 and 1")
        return self
