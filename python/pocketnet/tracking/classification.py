"""Records of a classification in MLflow: its metrics, and the signature of a served model."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.classification import metrics
from .store import metric as metric_name

if TYPE_CHECKING:
    import pandas as pd

    from ..contracts.plan import Plan

FILES = ("classification.json", "roc.png")


def aggregate(rows: pd.DataFrame) -> dict[str, float]:
    """Return each metric as `<metric>/<class>`, if defined."""
    return {metric_name(metric, name): found.value for name in metrics.positives(rows)
            for metric, found in vars(metrics.values(rows, name)).items() if found.value is not None}


def outputs(plan: Plan) -> list[tuple[str, str]]:
    """Return type and name of each column of an answer: a probability per class."""
    return [("double", label.name) for label in plan.labels]


def encode(image: np.ndarray) -> bytes:
    """Return an image (row, column) with values up to 255 as the content of a PNG file."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(out, format="PNG")
    return out.getvalue()
