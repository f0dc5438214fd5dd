"""`batches.json`: the manifest of a dataset in parts, for the tasks of the pipeline."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import Contract, Record, record
from .fields import Count, Path, Positive, Text

Files = Annotated[tuple[Path, ...], Field(min_length=1)]


@record
class EvaluationBatch(Record):
    """Test cases that one task evaluates.

    Attributes:
        manifest: Manifest of these cases.
        infer: Manifests of the same cases, in smaller parts, each for one task that predicts.
    """

    manifest: Path
    infer: Files


@record
class FoldBatches(Record):
    """Batches of a fold's test cases.

    Attributes:
        fold: Number of the fold.
        manifest: Manifest of all test cases.
        batches: The test cases in parts.
    """

    fold: Count
    manifest: Path
    batches: Annotated[tuple[EvaluationBatch, ...], Field(min_length=1)]


@record
class Batches(Contract):
    """Batches of a dataset's cases. Paths are relative to the folder of the file.

    Attributes:
        dataset: Name of the dataset, as in the manifest.
        cases: Number of cases.
        preprocess: Manifests of all cases in parts, each for one task that preprocesses.
        folds: Batches of each fold's test cases.
    """

    kind: ClassVar[str] = "batches"
    writer: ClassVar[str | None] = "plan"
    dataset: Text
    cases: Positive
    preprocess: Files
    folds: Annotated[tuple[FoldBatches, ...], Field(min_length=1)]
