"""`experiment.json`: where an experiment's table and figure are from."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import Contract, Record, record
from .fields import AnyText, Count, Text, Undescribed, Whole, absent


@record
class ComparedNetwork(Record):
    """A network that the experiment is drawn from.

    Attributes:
        arch, width, parameters: Which.
        folds, run_keys: Its trainings.
        steps: Of each, those before its start included.
    """

    arch: Text
    width: Text
    parameters: Count
    folds: tuple[Count, ...]
    run_keys: tuple[Text, ...]
    steps: Count | None = absent()


@record
class UsedSplits(Record):
    """How the cases were split: the rule, and the number of folds."""

    rule: Text
    folds: Count


@record
class Code(Record):
    """Checksums of the code of the trainings and of this step."""

    train: tuple[Text, ...]
    experiment: Text


@record
class Experiment(Contract):
    """An experiment's record.

    Attributes:
        experiment, title, paper: Its name, for people, and where the paper has it.
        dataset, recipe, seed: What it was done on.
        settings: What was varied.
        networks: The trainings.
        splits: How the cases were split.
        table: Rows of `table.csv`.
        figure: Its caption.
        notes: What a reader must know.
        code, version, commit: What made it.
    """

    kind: ClassVar[str] = "experiment"
    writer: ClassVar[str | None] = "experiment"
    experiment: Text
    title: Text
    paper: Text
    dataset: Text
    recipe: Text
    seed: Whole
    settings: Undescribed
    networks: tuple[ComparedNetwork, ...]
    table: Annotated[tuple[Undescribed, ...], Field(min_length=1)]
    notes: tuple[Text, ...]
    code: Code
    version: Text
    commit: AnyText | None
    splits: UsedSplits | None = absent()
    figure: Text | None = absent()
