"""`metrics.csv` of a segmentation: one row per case and label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...contracts.labels import MEAN
from ...contracts.metrics import LabelRow
from ..lesions import LESION_METRICS

if TYPE_CHECKING:
    import pandas as pd

MARK = "label"
ROW = LabelRow
DIGITS = "%.6g"
LATER = ("hd95_voxels_mm", "asd_voxels_mm", "nsd_1mm", "group", "lesions", *LESION_METRICS)
COLUMNS = ("dataset", "case", "fold", "arch", "width", "recipe", "seed", "label", "dice", "hd95_mm", "asd_mm",
           "reference_ml", "predicted_ml", "parameters", "code", "run_key", *LATER, "steps")


def columns(rows: pd.DataFrame) -> list[str]:
    """Return the columns in order."""
    return list(COLUMNS)


def problems(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each row with the name of the mean as its label."""
    yield from (f"{place}.label: found {MEAN!r}, expected a label" for place in rows.index[rows["label"] == MEAN])
