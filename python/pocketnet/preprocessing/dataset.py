"""Preprocess the cases of a dataset into stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ..contracts.manifest import Case, Manifest
from ..contracts.plan import Preprocessing
from ..errors import DataError
from .recorded import check_recorded
from .tasks import TASKS


def write_stores(entries: Iterable[Case], listing: Manifest, folder: Path, preprocessing: Preprocessing, output: Path,
                 warn: Callable[[str], None] = lambda text: None) -> list[str]:
    """Preprocess cases into stores; a case that fails does not stop the others.

    Args:
        entries: Cases of the manifest.
        listing: The manifest.
        folder: The dataset's folder.
        preprocessing: Preprocessing section of the plan.
        output: Folder that receives the stores.
        warn: Receives the unusual findings about the images, one line each.

    Returns:
        The names of the cases.

    Raises:
        DataError: Some cases failed; the message lists all of them.
    """
    problems, done = [], []
    for entry in entries:
        try:
            for text in preprocess_case(entry, listing, folder, preprocessing, output):
                warn(f"{entry.case}: {text}")
            done.append(entry.case)
        except DataError as error:
            problems.append(f"{entry.case}: {error.line()}")
    if problems:
        raise DataError(f"{len(problems)} of {len(problems) + len(done)} cases could not be preprocessed.",
                        problems=problems)
    return done


def preprocess_case(entry: Case, listing: Manifest, folder: Path, preprocessing: Preprocessing, output: Path
                    ) -> tuple[str, ...]:
    """Preprocess one case into a store, and return the findings; see `write_stores` for the arguments.

    Raises:
        DataError: A file is unusable or was changed after the check, or the files do not belong together.
    """
    check_recorded(entry, folder, [*entry.images, *([entry.label] if entry.label else [])])
    return TASKS[listing.task].write_case(entry, listing, folder, preprocessing, output)
