"""`comparison.json`: a comparison of the networks trained on a dataset."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from .base import Contract, Record, record
from .configuration import ConfigurationChoice
from .fields import AboveZero, Count, Flag, Interval, Number, Prose, Text, absent
from .labels import MEAN as MEAN
from .tasks import DEFAULT, TASKS, Task


@record
class MetricSummary(Record):
    """Summary of a network's metric over cases.

    Attributes:
        mean: Mean over cases; for a classification, the metric's value.
        sd, median: Over cases; None for a classification.
        n: Number of cases with a value.
        undefined: Number of cases without a value.
        interval: 95 % confidence interval of the mean.
    """

    mean: Number | None
    sd: Number | None
    median: Number | None
    n: Count
    undefined: Count
    interval: Interval | None = None


@record
class NetworkRow(Record):
    """A network's metrics for one label, or for the mean over labels.

    Attributes:
        arch, width: The network.
        parameters: Number of weights.
        folds: Evaluated folds.
        cases: Number of cases.
        label: Name of the label, or `mean`.
        metrics: Summary per metric.
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
    """Result of an equivalence test by two one-sided tests.

    Attributes:
        margin: Equivalence margin, in the metric's unit.
        p_value: The larger p-value of the two tests.
        equivalent: Whether `p_value` is below 0.05.
    """

    margin: AboveZero
    p_value: Number | None
    equivalent: Flag


@record
class Pair(Record):
    """A metric of two networks, paired by case and fold.

    Attributes:
        arch, width: The network.
        reference: Width of the other network, or `baseline`.
        label: Name of the label, or `mean`.
        metric: Name of the metric.
        n: Number of pairs with a value.
        difference: Mean of network − reference over cases.
        interval: 95 % confidence interval of the difference.
        p_value: p-value of the null hypothesis of no difference.
        undefined: Number of pairs without a value.
        p_holm: p-value with Holm's correction over the labels.
        equivalence: Result of the equivalence test.
        test: Name of the test (classification).
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
class Verdict(Record):
    """The result of a headline pair in words.

    Attributes:
        arch, width: The network, compared with the full one.
        kind: `equivalent`, `worse`, `better`, `open` or `none`.
        title: One sentence without a full stop.
        text: The numbers behind it.
    """

    arch: Text
    width: Text
    kind: Literal["equivalent", "worse", "better", "open", "none"]
    title: Prose
    text: Prose


@record
class Comparison(Contract):
    """All networks of a dataset, and each width against the full network.

    Attributes:
        dataset, recipe: As in the trainings' provenance.
        task: `segmentation` or `classification`.
        labels: Names of the labels, in the dataset's order.
        code: Code checksums of the trainings.
        networks: One row per network and label.
        pairs: One row per pair of networks, label and metric.
        notes: Notes that a reader must know.
        configurations: For networks that were trained in 2D and in 3D, which is used. `networks` has both, `pairs`
            only those that are used.
        verdicts: The result of each headline pair in words.
    """

    kind: ClassVar[str] = "comparison"
    writer: ClassVar[str | None] = "compare"
    dataset: Text
    recipe: Text
    code: tuple[Text, ...]
    networks: tuple[NetworkRow, ...]
    pairs: tuple[Pair, ...]
    task: Task = DEFAULT
    labels: Annotated[tuple[Text, ...], Field(min_length=1)] | None = absent()
    notes: tuple[Prose, ...] = ()
    configurations: tuple[ConfigurationChoice, ...] | None = absent()
    verdicts: tuple[Verdict, ...] = ()

    @model_validator(mode="after")
    def _metrics(self) -> Comparison:
        known = TASKS[self.task].metrics
        if not all(name in row.metrics for row in self.networks for name in known):
            raise ValueError(f"the metrics {', '.join(known)} of every network")
        if not all(pair.metric in known for pair in self.pairs):
            raise ValueError(f"one of the metrics {', '.join(known)} in every pair")
        return self
