"""Read and write `metrics.csv`, which `pocket-evaluate` writes and all later steps read.

The columns depend on the task; `TABLES` has the form of each task's table.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from ..contracts.base import adapter, problems
from ..contracts.fields import LARGEST
from ..contracts.metrics import CaseRow, columns
from ..contracts.provenance import Provenance
from ..contracts.tasks import CLASSIFICATION, DEFAULT, SEGMENTATION, Task
from ..errors import DataError, UsageError
from ..files import NotOrdinary, content, write_text
from ..text import by_column, from_cell
from .classification import table as of_classes
from .segmentation import table as of_labels

if TYPE_CHECKING:
    import pandas as pd

TEXT = ("dataset", "case", "arch", "width", "recipe", "label", "code", "run_key")
WHOLE = ("fold", "seed", "parameters")
RUN = ("dataset", "fold", "arch", "width", "recipe", "seed", "parameters", "code", "run_key")
STEPS = "steps"
"""Total number of training steps; undefined in tables of earlier versions, which lack the column."""
NUMBERS = ("dice", "hd95_mm", "asd_mm", "reference_ml", "predicted_ml", "hd95_voxels_mm", "asd_voxels_mm", "nsd_1mm",
           "lesion_dice", "lesion_sensitivity", "panoptic_quality")
COUNTS = (STEPS, "lesions", "false_lesions")
"""Whole numbers that may be undefined."""


class Form(Protocol):
    """The form of a task's table."""

    @property
    def MARK(self) -> str:
        """A column that only the tables of this task have."""

    @property
    def ROW(self) -> type[CaseRow]:
        """Contract of a row."""

    @property
    def DIGITS(self) -> str:
        """Format of floating-point numbers."""

    @property
    def LATER(self) -> tuple[str, ...]:
        """Columns that tables of earlier versions lack; their values are undefined."""

    def columns(self, rows: pd.DataFrame) -> list[str]:
        """Return the columns in order."""

    def problems(self, rows: pd.DataFrame) -> Iterator[str]:
        """Yield a line for each value that is not valid, beyond the contract of a row."""


TABLES: dict[Task, Form] = {SEGMENTATION: of_labels, CLASSIFICATION: of_classes}


def of_run(provenance: Provenance) -> dict[str, Any]:
    """Return the columns that are equal in all rows of a model, from its `provenance.json`."""
    return {key: getattr(provenance, key) for key in RUN} | {STEPS: provenance.total_steps}


def task_of(rows: pd.DataFrame) -> Task:
    """Return the task, determined from the columns."""
    return next((task for task, form in TABLES.items() if form.MARK in rows), DEFAULT)


def columns_of(rows: pd.DataFrame) -> list[str]:
    """Return the columns of `metrics.csv` for the task of the rows."""
    return TABLES[task_of(rows)].columns(rows)


def write_metrics(path: str | Path, rows: pd.DataFrame) -> None:
    """Write rows with the columns of `metrics.csv`; NaN becomes an empty field."""
    later = {name: None for name in TABLES[task_of(rows)].LATER if name not in rows}
    shown = rows.assign(**later)[columns_of(rows)].astype(object)
    records = shown.where(shown.notna(), None).to_dict("records")
    write_text(path, by_column(list(shown.columns), records, TABLES[task_of(rows)].DIGITS))


def read(path: str | Path) -> pd.DataFrame:
    """Read one `metrics.csv`.

    Raises:
        UsageError: The file does not exist.
        DataError: The file is not a table, has no rows, lacks columns, or has invalid values.
    """
    import pandas as pd

    text = (*TEXT, "class", "predicted", "group")
    dtypes = (dict.fromkeys(text, str) | dict.fromkeys(WHOLE, "int64")
              | dict.fromkeys((*NUMBERS, *COUNTS), float))
    try:
        rows = pd.read_csv(io.BytesIO(content(path)), dtype=dtypes, keep_default_na=False,
                           na_values={name: [""] for name in (*NUMBERS, *COUNTS, "group")})
    except FileNotFoundError:
        raise UsageError("There is no metrics table here.", where=str(path),
                         todo="pocket-evaluate writes it.") from None
    except (ValueError, OverflowError, NotOrdinary) as error:  # parser errors of pandas are ValueErrors
        said = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
        raise DataError(f"This metrics table cannot be read: {said or type(error).__name__}",
                        where=str(path), todo="Create it again with pocket-evaluate.") from None
    for name in set(COUNTS) & set(rows.columns):
        whole = (rows[name].abs() < LARGEST) & (rows[name] % 1 == 0)
        counts = rows[name].where(whole).astype("Int64")
        others = rows[name].notna() & ~whole  # `_problems` names them
        rows[name] = counts.astype(object).mask(others, rows[name]) if others.any() else counts
    for name in set(text) & set(rows.columns):
        rows[name] = rows[name].map(from_cell, na_action="ignore")
    for name in TABLES[task_of(rows)].LATER:
        if name not in rows and name not in COUNTS:
            rows[name] = float("nan")
    for name in {STEPS, *TABLES[task_of(rows)].LATER} & set(COUNTS) - set(rows.columns):
        rows[name] = pd.array([pd.NA] * len(rows), dtype="Int64")
    missing = [name for name in columns_of(rows) if name not in rows]
    if missing or rows.empty:
        raise DataError("This metrics table lacks " + (", ".join(missing) if missing else "rows") + ".",
                        where=str(path), todo="Create it again with pocket-evaluate.")
    wrong = list(_problems(rows))
    if wrong:
        raise DataError("This metrics table has impossible values.", problems=wrong[:20], where=str(path),
                        todo="Create it again with pocket-evaluate.")
    return rows[columns_of(rows)]


def _problems(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each value that violates the contract of its row; rows are numbered from 0."""
    form = TABLES[task_of(rows)]
    values = rows[list(columns(form.ROW))].astype(object)
    values = values.where(values.notna(), None).to_dict("records")
    try:
        rows_of = adapter(tuple[form.ROW, ...])  # type: ignore[name-defined]  # the row class is chosen at run time
        rows_of.validate_python(values, by_alias=True, by_name=False)
    except ValidationError as error:
        yield from problems(error, values)
    keys = [name for name in ("dataset", "case", "fold", "arch", "width", "recipe", "seed", "label") if name in rows]
    yield from (f"{place}: the row of {rows.at[place, 'case']!r} appears twice"
                for place in rows.index[rows.duplicated(keys)])
    yield from form.problems(rows)


def read_all(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Read several tables into one; the additional column `file` has the source of each row.

    Raises:
        UsageError: A file does not exist, or the tables have different tasks or classes.
        DataError: As for `read`.
    """
    import pandas as pd

    tables = [read(path).assign(file=str(path)) for path in paths]
    for path, rows in zip(paths, tables, strict=True):
        if list(rows.columns) != list(tables[0].columns):
            raise UsageError("These metrics are of different tasks or classes, which cannot be compared.",
                             where=f"{paths[0]} and {path}", todo="Give the files of one dataset only.")
    return pd.concat(tables, ignore_index=True)
