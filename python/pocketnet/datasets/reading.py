"""Read the cases of a dataset in batches, each by another process, for one check of them all."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from .. import files
from ..contracts.reading import (
    CaseList,
    CheckedCases,
    FileProblem,
    ListedCase,
    ListedFile,
    ReadCase,
    ReadingRules,
)
from ..contracts.tasks import TASKS as RULES
from ..preprocessing import formats
from ..preprocessing.geometry import file_and_volume
from .folder import Case, Problem
from .tasks import TASKS
from .verify import CheckCase, Checked

MOST_THREADS = 8
MOST_BATCHES = 500
"""Approximate maximum number of batches, if the number of cases per batch is not given."""
READ_TOGETHER = 10
"""Times as many cases as one job preprocesses are read by one job."""
SAMPLED = 4_000_000
"""Approximate maximum number of sampled intensities per modality in a fingerprint."""

Progress = Callable[[Iterable[Checked], int], Iterable[Checked]]


def sample(task: str, cases: int) -> int:
    """Return the maximum number of intensities per modality in the fingerprint of one of `cases` cases.

    It is the task's, halved until the samples of all cases are at most `SAMPLED`: their percentiles need no more, and
    the memory of the check and of the planning does not grow with them.
    """
    most = TASKS[task].SAMPLE
    while most > 1 and most * cases > SAMPLED:
        most //= 2
    return most


def read(cases: Sequence[Case], work: CheckCase, progress: Progress, threads: int | None = None) -> list[Checked]:
    """Read cases in threads, at most `MOST_THREADS` of them, and return what was found, in order."""
    with ThreadPoolExecutor(threads or min(MOST_THREADS, len(os.sched_getaffinity(0)))) as pool:
        return list(progress(pool.map(work, cases), len(cases)))


def listed(folder: Path, case: Case) -> ListedCase:
    """Return a case with the present state of its files.

    Raises:
        ValidationError: It has a name that no file between the steps can contain.
    """
    paths = dict.fromkeys(file_and_volume(path)[0] for path in (*case.images.values(), *filter(None, [case.label])))
    names = [name for path in paths for name in (path, *formats.beside(path))]
    return ListedCase(case.name, dict(case.images), case.label, tuple(_states(folder, names)),
                      class_name=case.class_name, annotated=case.annotated)


def _states(folder: Path, names: Iterable[str]) -> Iterator[ListedFile]:
    for name in names:
        try:
            status = os.stat(folder / name)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield ListedFile(name, status.st_size, status.st_mtime_ns // 1000)


def write_batches(folder: Path, cases: Sequence[Case], rules: ReadingRules, size: int | None, output: Path) -> int:
    """Write the cases in batches, for `read_batch`.

    Args:
        folder: The dataset's folder.
        cases: The cases.
        rules: What reading them needs to know.
        size: Cases per batch; None: ten times as many as one job preprocesses, or more if there are very many.
        output: The folder to write.

    Returns:
        The number of batches; 0 if a name is such that no file between the steps can contain it. The check then reads
        all cases itself, and reports it.
    """
    size = size or max(RULES[rules.task].cases_per_job * READ_TOGETHER, len(cases) // MOST_BATCHES)
    try:
        every = [listed(folder, case) for case in cases]
    except ValidationError:
        every = []
    with files.atomic_folder(output) as temporary:
        starts = range(0, len(every), size)
        for number, start in enumerate(starts):
            CaseList(rules, tuple(every[start:start + size])).write(temporary / f"batch-{number}.json")
    return len(starts)


def read_batch(batch: CaseList, folder: Path, progress: Progress) -> CheckedCases:
    """Read the cases of a batch."""
    cases = [Case(one.case, one.images, one.label, one.class_name, annotated=one.annotated) for one in batch.cases]
    found = read(cases, TASKS[batch.rules.task].checker(folder, batch.rules), progress)
    return CheckedCases(batch.rules, tuple(
        ReadCase(one, tuple(FileProblem(problem.file, problem.problem) for problem in checked.problems),
                 tuple(checked.warnings), checked.sha256, checked.fingerprint)
        for one, checked in zip(batch.cases, found, strict=True)))


def earlier(paths: Iterable[Path], folder: Path, cases: Sequence[Case], rules: ReadingRules) -> dict[str, Checked]:
    """Return what other processes have found, by case, for the cases that are as they were then.

    Args:
        paths: Files that `pocket-read` has written, and folders of them.
        folder: The dataset's folder.
        cases: The cases to check.
        rules: What reading them needs to know; what was read by other rules is not used.

    Raises:
        UsageError: A file does not exist.
        DataError: A file is not valid.
    """
    by_name, found = {case.name: case for case in cases}, {}
    for path in (one for given in paths for one in (sorted(given.glob("*.json")) if given.is_dir() else [given])):
        checked = CheckedCases.read(path)
        for one in checked.cases if checked.rules == rules else ():
            case = by_name.get(one.listed.case)
            if case is not None and one.listed == _listed_or_none(folder, case):
                found[case.name] = Checked(
                    case, [Problem(case.name, problem.file, problem.problem) for problem in one.problems],
                    list(one.warnings), dict(one.sha256), one.fingerprint)
    return found


def _listed_or_none(folder: Path, case: Case) -> ListedCase | None:
    try:
        return listed(folder, case)
    except ValidationError:
        return None
