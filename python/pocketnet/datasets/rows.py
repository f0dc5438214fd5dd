"""Read the tables of a dataset (CSV and TSV) in the same way for every layout."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from ..files import open_table
from .folder import unreadable


class Rows(NamedTuple):
    """A table as text, without spaces around names and values.

    Attributes:
        columns: The names in the header, in order; a name may appear twice.
        lines: Number of the line and the values by column, for each row. A missing value is empty; values beyond the
            header and columns without a name are left out.
    """

    columns: list[str]
    lines: list[tuple[int, dict[str, str]]]


def read(path: Path, separator: str = ",") -> Rows:
    """Read a table.

    Args:
        path: The file: UTF-8, with or without a byte order mark.
        separator: The character between two values: a comma or a tab.

    Raises:
        ValueError: The file cannot be read, or not as a table. The message suits a `Problem`.
    """
    try:
        with open_table(path) as handle:
            reader = csv.DictReader(handle, delimiter=separator, skipinitialspace=True)
            reader.fieldnames = columns = [name.strip() for name in reader.fieldnames or ()]
            return Rows(columns, [(reader.line_num, _texts(row)) for row in reader])
    except OSError as error:
        raise ValueError(unreadable(error)) from None
    except (ValueError, csv.Error) as error:
        kind = "CSV" if separator == "," else "TSV"
        raise ValueError(f"cannot be read as {kind}: {error}") from None


def _texts(row: dict[str | None, str | list[str] | None]) -> dict[str, str]:
    return {name: (value or "").strip() for name, value in row.items() if name and not isinstance(value, list)}
