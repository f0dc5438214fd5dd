"""`metrics.csv` of a classification: one row per case, with its true class and the probability of each class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...contracts.metrics import ClassRow
from ...contracts.predictions import PROBABILITY

if TYPE_CHECKING:
    import pandas as pd

MARK = "predicted"
ROW = ClassRow
DIGITS = "%.9g"
LATER = ()
BEFORE = ("dataset", "case", "fold", "arch", "width", "recipe", "seed", "class", "predicted")
AFTER = ("parameters", "code", "run_key", "steps")


def classes_of(rows: pd.DataFrame) -> list[str]:
    """Return the classes in order, from the probability columns."""
    return [name.removeprefix(PROBABILITY) for name in rows.columns if name.startswith(PROBABILITY)]


def columns(rows: pd.DataFrame) -> list[str]:
    """Return the columns in order."""
    return [*BEFORE, *(PROBABILITY + name for name in classes_of(rows)), *AFTER]


def problems(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each value that is not a probability, and for each class without a column."""
    classes = classes_of(rows)
    for name in classes:
        wrong = rows.index[~rows[PROBABILITY + name].between(0, 1)]
        yield from (f"{place}.{PROBABILITY}{name}: found {rows.at[place, PROBABILITY + name]:g}, expected 0 to 1"
                    for place in wrong)
    for column in ("class", "predicted"):
        wrong = rows.index[~rows[column].isin(classes)]
        yield from (f"{place}.{column}: found {rows.at[place, column]!r}, expected one of {', '.join(classes)}"
                    for place in wrong)
