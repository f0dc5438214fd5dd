"""Training a segmentation network: the patches of a batch, and the validation score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts.labels import Label
from .sampling import PatchSampler
from .targets import masks

SAMPLER = PatchSampler
SAMPLES = "patches"
COLUMNS = ("validation_dice",)


def of_batch(probabilities: np.ndarray, label: np.ndarray, labels: Sequence[Label]) -> list[float]:
    """Return the Dice of each patch and foreground class, if the class is present in the label or the prediction.

    Args:
        probabilities: (batch, *patch, classes).
        label: Classes, (batch, *patch), or targets with channels.
        labels: The plan's labels.
    """
    scores = []
    for sample, target in zip(probabilities, label, strict=True):
        for predicted, true in masks(sample, target, labels):
            size = int(predicted.sum() + true.sum())
            if size:
                scores.append(2 * int((predicted & true).sum()) / size)
    return scores


def scores(batches: Sequence[list[float]]) -> dict[str, float]:
    """Return the mean of all Dice values; 0 if there are none."""
    found = [score for batch in batches for score in batch]
    return dict(zip(COLUMNS, (float(np.mean(found)) if found else 0.0,), strict=True))
