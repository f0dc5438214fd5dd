"""Records of a segmentation in MLflow: its metrics, and the signature of a served model."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np

from ..contracts.comparison import MEAN
from ..evaluation.metrics import METRICS
from ..inference.options import ANSWER
from .store import metric as metric_name

if TYPE_CHECKING:
    import pandas as pd

    from ..contracts.plan import Plan

FILES: tuple[str, ...] = ()


def aggregate(rows: pd.DataFrame) -> dict[str, float]:
    """Return means over cases as `<metric>/<label>`, and over labels and cases as `<metric>/mean`, if defined."""
    metrics = list(METRICS)
    means = {MEAN: rows.groupby(["case", "fold"])[metrics].mean().mean()}
    means |= {label: group[metrics].mean() for label, group in rows.groupby("label", sort=False)}
    return {metric_name(metric, label): float(values[metric]) for label, values in means.items() for metric in metrics
            if values[metric] == values[metric]}


def outputs(plan: Plan) -> list[tuple[str, str]]:
    """Return type and name of each column of an answer: a label map."""
    return [("binary", ANSWER)]


def encode(image: np.ndarray) -> bytes:
    """Return an image (x, y, z) with values up to 255 as the content of a `.nii.gz` file."""
    import nibabel as nib

    return gzip.compress(nib.Nifti1Image(image.astype(np.uint8), np.eye(4)).to_bytes(), mtime=0)
