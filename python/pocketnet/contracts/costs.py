"""`costs.csv`: time and energy of each case that `pocket-infer` segmented or classified."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from .. import files
from ..errors import DataError
from ..text import by_column, csv_rows
from .base import Record, record
from .energy import Energy
from .fields import CaseName, NotNegative

TABLE = "costs.csv"
COLUMNS = ("case", "seconds", *(one.name for one in fields(Energy)))


@record
class Cost(Record):
    """What a case cost.

    Attributes:
        case: Name of the case.
        seconds: From reading its images to writing its result.
        energy: Energy meanwhile.
    """

    case: CaseName
    seconds: NotNegative
    energy: Energy


def write(path: Path, costs: Iterable[Cost]) -> None:
    """Write the table, with empty fields for what is absent."""
    files.write_text(path, by_column(COLUMNS, (
        {"case": one.case, "seconds": one.seconds, **asdict(one.energy)} for one in costs)))


def read(path: Path) -> dict[str, Cost]:
    """Read the table by case; empty if there is none.

    Raises:
        DataError: It is not such a table, or a value is not valid.
    """
    try:
        with files.open_table(path) as handle:
            return {row["case"]: _cost(row, path) for row in csv_rows(handle)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(f"This table cannot be read: {error}", where=str(path),
                        todo="Create it again with pocket-infer --costs.") from None


def _cost(row: dict[str, str], path: Path) -> Cost:
    texts = ("case", "processor", "gpu")
    values: dict[str, Any] = {name: value if name in texts else float(value) for name, value in row.items() if value}
    common = {name: values.pop(name) for name in ("case", "seconds")}
    return Cost.from_json(common | {"energy": values}, path, "cost")
