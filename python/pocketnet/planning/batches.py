"""Divide a manifest into batches, each for one task of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import files
from ..contracts.batches import Batches, EvaluationBatch, FoldBatches
from ..contracts.manifest import Case, Manifest
from ..contracts.splits import Splits
from ..contracts.tasks import TASKS

INDEX = "batches.json"
MOST_JOBS = 500
"""Approximate maximum number of jobs for all cases of a dataset, if the number of cases per job is not given."""
EVALUATED_TOGETHER = 10
"""Batches of predictions that one job evaluates: an evaluation takes less time than a prediction."""


def cases_per_job(manifest: Manifest) -> int:
    """Return the default number of cases per job: the task's, or more if the dataset is large."""
    return max(TASKS[manifest.task].cases_per_job, len(manifest.cases) // MOST_JOBS)


def write(manifest: Manifest, splits: Splits, size: int | None, folder: Path) -> None:
    """Write manifests of parts of the cases, and `batches.json`, which lists them.

    A batch depends only on its cases and on what the manifest says of all cases, so that tasks of other batches need
    not run again after a change. It leaves out the dataset's list of test cases, which no task with batches needs.

    Args:
        manifest: The dataset's manifest.
        splits: The folds.
        size: Cases per job that preprocesses or predicts; None: `cases_per_job`.
        folder: The folder to write.
    """
    size = size or cases_per_job(manifest)
    common = replace(manifest, split=None)
    with files.atomic_folder(folder) as temporary:
        def written(name: str, cases: Sequence[Case]) -> str:
            replace(common, cases=tuple(cases)).write(temporary / f"{name}.json")
            return f"{name}.json"

        def fold_batches(number: int, test: frozenset[str]) -> FoldBatches:
            cases = [case for case in manifest.cases if case.case in test]
            name, one = f"fold{number}", len(cases) if TASKS[manifest.task].one_table else size
            whole = written(name, cases)
            parts = _parts(cases, one * EVALUATED_TOGETHER)
            return FoldBatches(number, whole, tuple(
                EvaluationBatch(whole if len(parts) == 1 else written(f"{name}-{index}", part),
                                tuple(written(f"{name}-{index}-{batch}", some)
                                      for batch, some in enumerate(_parts(part, one))))
                for index, part in enumerate(parts)))

        every = tuple(written(f"all-{index}", part) for index, part in enumerate(_parts(manifest.cases, size)))
        Batches(manifest.dataset, len(manifest.cases), every, tuple(
            fold_batches(fold.fold, frozenset(fold.test)) for fold in splits.folds)).write(temporary / INDEX)


def _parts(cases: Sequence[Case], size: int) -> list[Sequence[Case]]:
    return [cases[start:start + size] for start in range(0, len(cases), size)]
