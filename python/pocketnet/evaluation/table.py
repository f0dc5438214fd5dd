"""Read and write `metrics.csv`, which `pocket-evaluate` writes and all later steps read.

The table has one row per case and label. For a classification, it has one row per case, with the true class, the
predicted class and the probability of each class.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ..contracts.base import adapter, problems
from ..contracts.labels import CLASSIFICATION, MEAN, SEGMENTATION
from ..contracts.metrics import ClassRow, LabelRow, columns
from ..contracts.predictions import PROBABILITY
from ..contracts.provenance import Provenance
from ..errors import DataError, UsageError
from ..files import NotOrdinary, content, write_text
from ..text import by_column, from_cell

if TYPE_CHECKING:
    import pandas as pd

    from ..contracts.labels import Task

TEXT = ("dataset", "case", "arch", "width", "recipe", "label", "code", "run_key")
WHOLE = ("fold", "seed", "parameters")
RUN = ("dataset", "fold", "arch", "width", "recipe", "seed", "parameters", "code", "run_key")
STEPS = "steps"
"""Total number of training steps; undefined in tables of earlier versions, which lack the column."""
LATER = ("hd95_voxels_mm", "asd_voxels_mm", "nsd_1mm")
"""Columns that tables of earlier versions lack; their values are undefined."""
NUMBERS = ("dice", "hd95_mm", "asd_mm", "reference_ml", "predicted_ml", *LATER)
COLUMNS = ("dataset", "case", "fold", "arch", "width", "recipe", "seed", "label", "dice", "hd95_mm", "asd_mm",
           "reference_ml", "predicted_ml", "parameters", "code", "run_key", *LATER, STEPS)


KEYS = ("dataset", "case", "fold", "arch", "width", "recipe", "seed")
OF_CLASSES = (*KEYS, "class", "predicted")


def of_run(provenance: Provenance) -> dict[str, Any]:
    """Return the columns that are equal in all rows of a model, from its `provenance.json`."""
    return {key: getattr(provenance, key) for key in RUN} | {STEPS: provenance.total_steps}


def task_of(rows: pd.DataFrame) -> Task:
    """Return the task, determined from the columns."""
    return CLASSIFICATION if "predicted" in rows else SEGMENTATION


def classes_of(rows: pd.DataFrame) -> list[str]:
    """Return the classes of a classification in order, from the probability columns."""
    return [name.removeprefix(PROBABILITY) for name in rows.columns if name.startswith(PROBABILITY)]


def columns_of(rows: pd.DataFrame) -> list[str]:
    """Return the columns of `metrics.csv` for the task of the rows."""
    if task_of(rows) == SEGMENTATION:
        return list(COLUMNS)
    return [*OF_CLASSES, *(PROBABILITY + name for name in classes_of(rows)), "parameters", "code", "run_key", STEPS]


def write_metrics(path: str | Path, rows: pd.DataFrame) -> None:
    """Write rows with the columns of `metrics.csv`; NaN becomes an empty field."""
    shown = rows[columns_of(rows)].astype(object)
    records = shown.where(shown.notna(), None).to_dict("records")
    write_text(path, by_column(list(shown.columns), records, "%.6g" if task_of(rows) == SEGMENTATION else "%.9g"))


def read(path: str | Path) -> pd.DataFrame:
    """Read one `metrics.csv`.

    Raises:
        UsageError: The file does not exist.
        DataError: The file is not a table, has no rows, lacks columns, or has invalid values.
    """
    import pandas as pd

    text = (*TEXT, "class", "predicted")
    dtypes = (dict.fromkeys(text, str) | dict.fromkeys(WHOLE, "int64") | dict.fromkeys(NUMBERS, float)
              | {STEPS: "Int64"})
    try:
        rows = pd.read_csv(io.BytesIO(content(path)), dtype=dtypes, keep_default_na=False,
                           na_values={name: [""] for name in (*NUMBERS, STEPS)})
    except FileNotFoundError:
        raise UsageError("There is no metrics table here.", where=str(path),
                         todo="pocket-evaluate writes it.") from None
    except (ValueError, OverflowError, NotOrdinary) as error:  # parser errors of pandas are ValueErrors
        raise DataError(f"This metrics table cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}",
                        where=str(path), todo="Make it anew with pocket-evaluate.") from None
    for name in set(text) & set(rows.columns):
        rows[name] = rows[name].map(from_cell)
    for name in LATER if task_of(rows) == SEGMENTATION else ():
        if name not in rows:
            rows[name] = float("nan")
    if STEPS not in rows:
        rows[STEPS] = pd.array([pd.NA] * len(rows), dtype="Int64")
    missing = [name for name in columns_of(rows) if name not in rows]
    if missing or rows.empty:
        raise DataError("This metrics table lacks " + (", ".join(missing) if missing else "rows") + ".",
                        where=str(path), todo="Make it anew with pocket-evaluate.")
    wrong = list(_problems(rows))
    if wrong:
        raise DataError("This metrics table has values that cannot be.", problems=wrong[:20], where=str(path),
                        todo="Make it anew with pocket-evaluate.")
    return rows[columns_of(rows)]


def _problems(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each value that violates the contract of its row; rows are numbered from 0."""
    row = LabelRow if task_of(rows) == SEGMENTATION else ClassRow
    values = rows[list(columns(row))].astype(object)
    values = values.where(values.notna(), None).to_dict("records")
    try:
        rows_of = adapter(tuple[row, ...])  # type: ignore[valid-type]  # the row class is chosen at run time
        rows_of.validate_python(values, by_alias=True, by_name=False)
    except ValidationError as error:
        yield from problems(error, values)
    if row is LabelRow:
        yield from (f"{place}.label: found {MEAN!r}, expected a label" for place in rows.index[rows["label"] == MEAN])
    keys = [*KEYS, "label"] if row is LabelRow else list(KEYS)
    yield from (f"{place}: the row of {rows.at[place, 'case']!r} is there twice"
                for place in rows.index[rows.duplicated(keys)])
    classes = classes_of(rows)
    for name in classes:
        wrong = rows.index[~rows[PROBABILITY + name].between(0, 1)]
        yield from (f"{place}.{PROBABILITY}{name}: found {rows.at[place, PROBABILITY + name]:g}, expected 0 to 1"
                    for place in wrong)
    for column in ("class", "predicted") if classes or row is ClassRow else ():
        wrong = rows.index[~rows[column].isin(classes)]
        yield from (f"{place}.{column}: found {rows.at[place, column]!r}, expected one of {', '.join(classes)}"
                    for place in wrong)


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
