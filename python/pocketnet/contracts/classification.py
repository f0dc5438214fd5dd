"""`classification.json` of an evaluation: a classifier's confusion matrix, metrics and ROC curves."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from .base import Contract, Record, record
from .fields import Count, Distinct, Interval, Number, Positive, Prose, Share, Text, absent

Point = tuple[Share, Share]
"""(false positive rate, true positive rate)."""


@record
class Estimate(Record):
    """A value with its 95 % confidence interval over `n` cases; None if undefined."""

    value: Number | None
    interval: Interval | None
    n: Count


@record
class ClassMetrics(Record):
    """Metrics of one class against all others."""

    auc: Estimate
    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate


@record
class PositiveClass(Record):
    """Performance for one class against all others.

    Attributes:
        class_name: The positive class.
        metrics: AUC, and the other metrics for the most probable class as the prediction.
        curve: Points of the ROC curve.
    """

    class_name: Annotated[Text, Field(alias="class")]
    metrics: ClassMetrics
    curve: Annotated[tuple[Point, ...], Field(min_length=2)]


@record
class Classification(Contract):
    """A classifier's results on its test cases.

    Attributes:
        dataset, arch, width, folds: The evaluated network and its data.
        cases: Number of cases.
        classes: Names of the classes, in order.
        confusion: Number of cases by true class (row) and predicted class (column).
        positive: Results per positive class.
        caution: Caution to show with every result on the dataset.
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
    caution: Prose | None = absent()

    @model_validator(mode="after")
    def _check(self) -> Any:
        many = len(self.classes)
        if len(self.confusion) != many or any(len(row) != many for row in self.confusion):
            raise ValueError(f"a confusion of {many} × {many} counts")
        return self
