"""`classification.json` of an evaluation: a classifier's confusion and curves."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from .base import Contract, Record, record
from .fields import Count, Distinct, Interval, Number, Positive, Share, Text, absent

Point = tuple[Share, Share]
"""False and true positive rate."""


@record
class Estimate(Record):
    """A value with its 95 % interval over `n` cases; None where it is not defined."""

    value: Number | None
    interval: Interval | None
    n: Count


@record
class ClassMetrics(Record):
    """Metrics of a class against all others."""

    auc: Estimate
    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate


@record
class PositiveClass(Record):
    """How well a class is told from all others.

    Attributes:
        class_name: The class.
        metrics: At the most probable class, and the area under the curve.
        curve: ROC curve.
    """

    class_name: Annotated[Text, Field(alias="class")]
    metrics: ClassMetrics
    curve: Annotated[tuple[Point, ...], Field(min_length=2)]


@record
class Classification(Contract):
    """What a classifier does on its test cases.

    Attributes:
        dataset, arch, width, folds: What was evaluated.
        cases: Number of cases.
        classes: In order.
        confusion: Cases by true class (row) and predicted class (column).
        positive: The classes that metrics are given for.
        caution: What every result on the dataset must say.
    """

    kind: ClassVar[str] = "classification"
    writer: ClassVar[str | None] = "evaluate"
    dataset: Text
    arch: Text
    width: Text
    folds: Annotated[tuple[Count, ...], Field(min_length=1)]
    cases: Positive
    classes: Annotated[tuple[Text, ...], Field(min_length=2), Distinct()]
    confusion: tuple[tuple[Count, ...], ...]
    positive: Annotated[tuple[PositiveClass, ...], Field(min_length=1)]
    caution: Text | None = absent()

    @model_validator(mode="after")
    def _check(self) -> Any:
        many = len(self.classes)
        if len(self.confusion) != many or any(len(row) != many for row in self.confusion):
            raise ValueError(f"a confusion of {many} × {many} counts")
        return self
