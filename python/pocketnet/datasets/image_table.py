"""The layout of a table of classes: a folder `images/` and one CSV file with the columns `filename` and `class`.

`groups.py` finds the patients in the other columns.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ..files import open_table
from .folder import Listing, Problem
from .pictures import Entry, listing
from .presets import Preset
from .rows import read

IMAGES = "images"
COLUMNS = ("filename", "class")


def matches(folder: Path) -> bool:
    """Return whether a folder has this layout."""
    return (folder / IMAGES).is_dir() and bool(_tables(folder))


def scan(folder: Path, preset: Preset, wanted: Sequence[str]) -> Listing:
    """List the images of a folder.

    Args:
        folder: The dataset's folder.
        preset: Gives the modality and, if known, the classes.
        wanted: Modalities to use; empty: all.

    Raises:
        UsageError: A wanted modality does not exist.
    """
    tables = _tables(folder)
    entries: list[Entry] = []
    problems: list[Problem] = []
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        problems.append(Problem("", tables[0].name, f"several tables of classes: {names}; leave one there"))
        return listing(folder, preset, wanted, entries, problems, has_test=False)
    table = tables[0]
    try:
        lines = read(table).lines
    except ValueError as error:
        problems.append(Problem("", table.name, str(error)))
        lines = []
    for number, row in lines:
        file, name = (row[column] for column in COLUMNS)
        if not file or not name or "/" in file or "\\" in file:
            problems.append(Problem("", table.name, f"line {number} needs a file name in {IMAGES}/ and a class, found "
                                                    f"{file!r} and {name!r}"))
            continue
        entries.append(Entry(f"{table.name} line {number}", IMAGES, file, name,
                             columns={key: value for key, value in row.items() if key not in COLUMNS}))
    return listing(folder, preset, wanted, entries, problems, has_test=False)


def _tables(folder: Path) -> list[Path]:
    """Return the CSV files of a folder whose headers contain `COLUMNS`."""
    return [path for path in sorted(folder.glob("*.csv")) if set(COLUMNS) <= set(_header(path))]


def _header(path: Path) -> list[str]:
    try:
        with open_table(path) as handle:
            return [name.strip() for name in next(csv.reader(handle, skipinitialspace=True), [])]
    except (OSError, ValueError, csv.Error):
        return []
