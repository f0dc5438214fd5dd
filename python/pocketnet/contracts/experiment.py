"""`experiment.json`: the origin of an experiment's table and figure."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import Contract, Record, record
from .fields import AnyText, Count, Prose, Text, Undescribed, Whole, absent


@record
class ComparedNetwork(Record):
    """A network of the experiment.

    Attributes:
        arch, width, parameters: The network.
        folds, run_keys: Its trainings.
        steps: Training steps per fold, including those of the network that it started from.
    """

    arch: Text
    width: Text
    parameters: Count
    folds: tuple[Count, ...]
    run_keys: tuple[Text, ...]
    steps: Count | None = absent()


@record
class UsedSplits(Record):
    """The rule by which cases were split, and the number of folds."""

    rule: Prose
    folds: Count


@record
class Code(Record):
    """Code checksums of the trainings and of this step."""

    train: tuple[Text, ...]
    experiment: Text


@record
class Experiment(Contract):
    """An experiment's record.

    Attributes:
        experiment, title, paper: Name, title, and place in the paper.
        dataset, recipe, seed: As in the plan.
        settings: Settings of the experiment.
        networks: The trained networks.
        splits: How the cases were split.
        table: Rows of `table.csv`.
        figure: Caption of the figure.
        notes: Notes that a reader must know.
        code, version, commit: Code checksums, package version and git commit.
    """

    kind: ClassVar[str] = "experiment"
    writer: ClassVar[str | None] = "experiment"
    experiment: Text
    title: Prose
    paper: Prose
    dataset: Text
    recipe: Text
    seed: Whole
    settings: Undescribed
    networks: tuple[ComparedNetwork, ...]
    table: Annotated[tuple[Undescribed, ...], Field(min_length=1)]
    notes: tuple[Prose, ...]
    code: Code
    version: Text
    commit: AnyText | None
    splits: UsedSplits | None = absent()
    figure: Prose | None = absent()
