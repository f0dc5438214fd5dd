"""`predictions.csv`: a classifier's probabilities, one row per case."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import files
from ..errors import DataError, UsageError
from ..text import csv_rows, csv_text

TABLE = "predictions.csv"
PROBABILITY = "probability_"
"""Prefix of the probability columns; the name of the class follows."""
SEPARATOR = " | "
"""Between the warnings of a case."""


def write_table(path: Path, found: Mapping[str, Mapping[str, float]], classes: Sequence[str],
                warnings: Mapping[str, Sequence[str]]) -> None:
    """Write class probabilities, one row per case.

    The columns are `case`, `predicted`, `probability_<class>` and `warnings`.

    Args:
        path: The table.
        found: Probability by case and class.
        classes: The classes, in order.
        warnings: Warnings about the images, by case.
    """
    rows = ([case, max(classes, key=values.__getitem__), *(f"{values[name]:.9g}" for name in classes),
             SEPARATOR.join(warnings.get(case, ()))] for case, values in found.items())
    files.write_text(path, csv_text(["case", "predicted", *(PROBABILITY + name for name in classes), "warnings"], rows))


def read_table(path: Path, classes: Sequence[str]) -> dict[str, list[float]]:
    """Read the probabilities per case, in the order of `classes`.

    Raises:
        UsageError: If the file does not exist.
        DataError: If a column is missing, a case occurs twice, or a value is not a probability.
    """
    columns = [PROBABILITY + name for name in classes]
    try:
        with files.open_table(path) as handle:
            rows = list(csv_rows(handle))
    except FileNotFoundError:
        raise UsageError("There are no predictions here.", where=str(path),
                         todo="Make them with pocket-infer.") from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"These predictions cannot be read: {error}", where=str(path)) from None
    missing = [name for name in ("case", *columns) if rows and rows[0].get(name) is None]
    if missing:
        raise DataError(f"These predictions lack the columns {', '.join(missing)}.", where=str(path),
                        todo="Make them with pocket-infer and the model of these classes.")
    out: dict[str, list[float]] = {}
    problems = []
    for row in rows:
        try:
            values = [float(row[name]) for name in columns]
        except (TypeError, ValueError):
            values = []
        if not values or not all(0 <= value <= 1 for value in values) or abs(sum(values) - 1) > 1e-3:
            problems.append(f"{row['case']}: {[row[name] for name in columns]} are not probabilities that add up to 1")
        elif row["case"] in out:
            problems.append(f"{row['case']}: listed twice")
        else:
            out[row["case"]] = values
    if problems:
        raise DataError("These predictions cannot be used.", problems=problems, where=str(path))
    return out
