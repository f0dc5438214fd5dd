"""`features.csv`: what a prediction itself says of its quality, by case and label; `pocket-calibrate` learns from it.

Each case has a row with an empty `label`, with the features of its images, and one row per label. An empty field is a
feature that the row does not have.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..errors import DataError
from ..text import by_column, csv_rows

TABLE = "features.csv"
LEADING = ("case", "label", "key", "predictions")
Features = Mapping[str, float]
"""Value by name of the feature."""


@dataclass(frozen=True)
class CaseFeatures:
    """The features of a predicted case.

    Attributes:
        predictions: Number of predictions that were averaged at each voxel.
        image: Features of the images (`inference.features.of_scan`).
        labels: Features of each label (`inference.features.Tally`), by its name.
    """

    predictions: int
    image: Features
    labels: Mapping[str, Features]


@dataclass(frozen=True)
class Recorded:
    """A case's entry in the table: its features, and the note of the label map that they belong to."""

    key: str
    features: CaseFeatures


def write(path: Path, found: Mapping[str, Recorded]) -> None:
    """Write the table, cases in order of their names."""
    rows = []
    for case, one in sorted(found.items()):
        parts: dict[str, Features] = {"": one.features.image} | dict(one.features.labels)
        rows += [{"case": case, "label": label, "key": one.key, "predictions": one.features.predictions, **values}
                 for label, values in parts.items()]
    columns = dict.fromkeys(name for row in rows for name in row)
    files.write_text(path, by_column([*LEADING, *(name for name in columns if name not in LEADING)], rows, "%.9g"))


def read(path: Path) -> dict[str, Recorded]:
    """Return the entries by case; empty if there is no table.

    Raises:
        DataError: The table is damaged.
    """
    parts: dict[str, dict[str, Features]] = {}
    heads: dict[str, tuple[str, int]] = {}
    try:
        with files.open_table(path) as handle:
            for number, row in enumerate(csv_rows(handle), 2):
                values = {name: float(text) for name, text in row.items() if name not in LEADING and text}
                if not all(map(math.isfinite, values.values())):
                    raise ValueError(f"row {number} has a number that is not finite")
                case = row["case"]
                if row["label"] in parts.setdefault(case, {}):
                    raise ValueError(f"row {number} is the second of {case} {row['label']}".rstrip())
                parts[case][row["label"]] = values
                heads[case] = row["key"], int(row["predictions"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(f"This table of features cannot be read: {error}", where=str(path),
                        todo="Create it again with pocket-infer --manifest --again.") from None
    return {case: Recorded(key, CaseFeatures(predictions, parts[case].pop("", {}), parts[case]))
            for case, (key, predictions) in heads.items()}
