"""`comparison.json`: the networks of a dataset side by side."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import Contract, Record, record
from .fields import AboveZero, Count, Flag, Interval, Number, Text, absent
from .labels import SEGMENTATION, Task


@record
class MetricSummary(Record):
    """A metric of a network over cases.

    Attributes:
        mean: In a classification the metric's value.
        sd, median: None in a classification.
        n: Cases with a value.
        undefined: Cases without.
        interval: 95 %, of the mean.
    """

    mean: Number | None
    sd: Number | None
    median: Number | None
    n: Count
    undefined: Count
    interval: Interval | None = None


@record
class NetworkRow(Record):
    """A network's metrics of one label, or of the mean over labels.

    Attributes:
        arch, width: Which network.
        parameters: Number of weights.
        folds: Those that were evaluated.
        cases: Number of cases.
        label: A label's name, or `mean`.
        metrics: By metric.
    """

    arch: Text
    width: Text
    parameters: Count
    folds: tuple[Count, ...]
    cases: Count
    label: Text
    metrics: dict[Text, MetricSummary]


@record
class Equivalence(Record):
    """Two one-sided tests.

    Attributes:
        margin: Of the metric.
        p_value: The larger of both.
        equivalent: Whether it is below 0.05.
    """

    margin: AboveZero
    p_value: Number | None
    equivalent: Flag


@record
class Pair(Record):
    """A metric of two networks, paired by case and fold.

    Attributes:
        arch, width: The network.
        reference: The other one's width, or `baseline`.
        label: As in `NetworkRow`.
        metric: Its name.
        n: Pairs with a value.
        difference: Network − reference, mean over cases.
        interval: 95 %, of the difference.
        p_value: That there is no difference.
        undefined: Pairs without a value.
        p_holm: Corrected over the labels.
        equivalence: Whether the difference is within a margin.
        test: Name of the test, in a classification.
    """

    arch: Text
    width: Text
    reference: Text
    label: Text
    metric: Text
    n: Count
    difference: Number | None
    interval: Interval | None
    p_value: Number | None
    undefined: Count | None = absent()
    p_holm: Number | None = None
    equivalence: Equivalence | None = absent()
    test: Text | None = absent()


@record
class Comparison(Contract):
    """Every network of a dataset, and each width against the full one.

    Attributes:
        dataset, recipe: What was trained.
        task: What for.
        labels: In the dataset's order.
        code: Of the trainings.
        networks: A row a network and label.
        pairs: A row a pair of networks, label and metric.
        notes: What a reader must know.
    """

    kind: ClassVar[str] = "comparison"
    writer: ClassVar[str | None] = "compare"
    dataset: Text
    recipe: Text
    code: tuple[Text, ...]
    networks: tuple[NetworkRow, ...]
    pairs: tuple[Pair, ...]
    task: Task = SEGMENTATION
    labels: Annotated[tuple[Text, ...], Field(min_length=1)] | None = absent()
    notes: tuple[Text, ...] = ()
