"""The layout of a table: `dataset.csv`, one row per case, with columns `case`, `label`, modalities, perhaps others.

Paths are relative to the table's folder. An empty label means that the case has no label map. `split` is `train` or
`test`; if any case is `test`, these cases form the test set. `annotated` has the labels that were annotated in a case,
separated by semicolons; empty for all. A column without a file name, such as `patient` or `age`, is not a
modality; `groups.py` reads it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..preprocessing.formats import PICTURES, TAKEN, is_picture, is_volume
from ..preprocessing.geometry import file_and_volume
from . import annotated
from . import rows as tables
from .folder import Case, Listing, Problem, name_problems, select_modalities
from .groups import COLUMNS, MISSING
from .presets import Preset

TABLE = "dataset.csv"
CASE, LABEL, SPLIT = "case", "label", "split"
OTHERS = (CASE, LABEL, SPLIT, annotated.COLUMN)
"""Columns that are not modalities."""
PARTS = ("train", "test")
_FILE = re.compile(r".*\.[A-Za-z]{2}[A-Za-z0-9.]*(\[\d+\])?")
"""A file name: it ends with a suffix, and perhaps selects a volume or channel."""


def matches(folder: Path) -> bool:
    """Return whether a folder has this layout."""
    return (folder / TABLE).is_file()


def scan(folder: Path, preset: Preset, wanted: Sequence[str]) -> Listing:
    """List the cases of a table.

    Args:
        folder: Folder of the table.
        preset: Its `modalities`, if given, are the image columns; otherwise all other columns with files are.
        wanted: Modalities to use; empty: all.

    Raises:
        UsageError: A wanted modality is not a column.
    """
    try:
        columns, lines = tables.read(folder / TABLE)
    except ValueError as error:
        return Listing((), None, [], [Problem("", TABLE, str(error))])
    faults = [f"no column {name!r}" for name in (CASE, LABEL, *(preset.modalities or ())) if name not in columns]
    faults += [f"two columns {name!r}" for name in sorted({name for name in columns if columns.count(name) > 1})]
    others = [name for name in columns if name and name not in OTHERS]
    cells = [row for _, row in lines]
    known = preset.modalities or tuple(name for name in others if name in wanted or _has_files(name, cells))
    if not known:
        faults.append("no column with images")
    if faults:
        return Listing((), None, [], [Problem("", TABLE, f"{'; '.join(faults)}. Columns: {', '.join(columns)}")])
    modalities = select_modalities(wanted, known)

    problems: list[Problem] = []
    missing: list[Problem] = []
    cases: dict[str, Case] = {}
    test: list[str] = []
    others = [name for name in others if name not in known]
    warnings = [f"{TABLE}: no modalities, these columns have no file: {', '.join(odd)}"] if (
        odd := [name for name in others if name.lower() not in COLUMNS]) else []
    for number, row in lines:
        name = row[CASE]
        if not name:
            problems.append(Problem("", TABLE, f"line {number}: no case name"))
            continue
        if name in cases:
            problems.append(Problem(name, TABLE, f"line {number}: duplicate name"))
            continue
        images = {m: row[m] for m in modalities if _usable(folder, name, m, row[m], problems)}
        label = row[LABEL] or None
        if label and not _usable(folder, name, LABEL, label, missing, problems):
            label = None
        part = row.get(SPLIT, "").lower() or PARTS[0]
        if part not in PARTS:
            problems.append(Problem(name, TABLE, f"line {number}: split is {row[SPLIT]!r}, expected train or test"))
        elif part == PARTS[1]:
            test.append(name)
        cases[name] = Case(name, images, label, columns={other: row.get(other, "") for other in others},
                           annotated=annotated.names(row.get(annotated.COLUMN, "")))
    problems += name_problems(cases)
    return Listing(modalities, None, [cases[name] for name in sorted(cases)], problems, missing, warnings,
                   test=tuple(sorted(test)) or None)


def _has_files(column: str, rows: Sequence[dict[str, str]]) -> bool:
    """Return whether a column has file names; a table without rows does not tell, and it counts as having some."""
    if column.lower() in COLUMNS:
        return False
    return not rows or any(_FILE.fullmatch(row[column]) for row in rows if row[column] not in MISSING)


def _usable(folder: Path, case: str, column: str, path: str, absent: list[Problem],
            problems: list[Problem] | None = None) -> bool:
    """Return whether a path is an existing file of an image in the folder.

    If it is not, add a problem to `absent` (the file is missing) or to `problems` (otherwise; `absent` if None).
    """
    problems = absent if problems is None else problems
    pure, file = PurePosixPath(path), file_and_volume(path)[0]
    if not path:
        problems.append(Problem(case, TABLE, f"missing: column {column!r} is empty"))
    elif pure.is_absolute() or ".." in pure.parts:
        problems.append(Problem(case, path, f"column {column!r}: not a path in the table's folder"))
    elif not is_volume(file) and not is_picture(file):
        problems.append(Problem(case, path, f"column {column!r}: not a file of these formats: {TAKEN}, or "
                                            f"{', '.join(PICTURES)}"))
    elif not os.path.exists(folder / file):
        absent.append(Problem(case, path, f"missing: {TABLE} lists it as {column!r}"))
    else:
        return True
    return False
