"""The table of volumes, `volumes.csv`, which several calls of `pocket-infer` share, also at the same time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .. import files, outputs
from ..contracts.predictions import SEPARATOR as SEPARATOR
from ..text import by_column, csv_rows

STATEMENT = ("expected_dice", "dice_low", "volume_low_ml", "volume_high_ml", "flag", "reasons")
"""Columns of the statement with each case; empty without a calibration."""
COLUMNS = ("case", "label", "value", "voxels", "volume_ml", *STATEMENT, "warnings")


def read(path: Path) -> dict[str, list[dict[str, str]]]:
    """Return the rows of each case; empty if there is no table."""
    rows: dict[str, list[dict[str, str]]] = {}
    with suppress(FileNotFoundError), files.open_table(path) as handle:
        for row in csv_rows(handle):
            if row.get("case"):
                rows.setdefault(row["case"], []).append({name: row.get(name) or "" for name in COLUMNS})
    return rows


def update(path: Path, found: Mapping[str, Mapping[str, dict[str, Any]]], warnings: Mapping[str, list[str]]) -> None:
    """Add cases to the table, or replace their rows; the rows of all other cases stay.

    Args:
        path: The table.
        found: By case, the `value`, `voxels` and `volume_ml` of each label, and its columns of `STATEMENT`.
        warnings: By case, its warnings; they stand in each of its rows.

    Raises:
        UsageError: The table is not ours to replace.
        OSError: It cannot be written.
    """
    with locked(path.parent):
        rows: dict[str, list[dict[str, Any]]] = {**read(path)}
        for case, by_label in found.items():
            text = SEPARATOR.join(warnings.get(case, ()))
            rows[case] = [{"case": case, "label": label, **row, "warnings": text} for label, row in by_label.items()]
        listed = [row for _, of_case in sorted(rows.items()) for row in of_case]
        files.write_text(path, by_column(COLUMNS, listed, "%r"))


@contextmanager
def locked(folder: Path, *, create: bool = True) -> Iterator[None]:
    """Lock a folder's marker of our output, so that one process at a time updates a table in it.

    A file system without locks is used without one.

    Args:
        folder: The folder.
        create: Whether to make the folder and its marker if they are missing; otherwise nothing is locked.
    """
    if not create and not (folder / outputs.MARKER).is_file():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(folder / outputs.MARKER, flags, 0o666), "rb") as marker:
        with suppress(OSError):
            fcntl.flock(marker, fcntl.LOCK_EX)
        yield
