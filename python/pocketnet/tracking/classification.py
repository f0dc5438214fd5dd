"""Records of a classification in MLflow: its metrics, and the signature and answers of a served model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluation.classification import metrics

if TYPE_CHECKING:
    import pandas as pd

    from ..contracts.plan import Plan
    from ..inference.classifier import Classifier


def aggregate(rows: pd.DataFrame) -> dict[str, float]:
    """Return each metric as `<metric>/<class>`, if defined."""
    return {f"{metric}/{name}": found.value for name in metrics.positives(rows)
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


def suffix(content: bytes) -> str:
    """Return the suffix of an image file by its first bytes."""
    return ".png" if content.startswith(b"\x89PNG") else ".jpg"


def load(folder: Path) -> Classifier:
    """Open a model folder."""
    from ..inference.classifier import Classifier

    return Classifier.load(folder)


def answer(network: Classifier, images: Sequence[Path]) -> dict[str, Any]:
    """Classify the images of a case, and return the probability of each class."""
    return dict(network.classify_files(images))
