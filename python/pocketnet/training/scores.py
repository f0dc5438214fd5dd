"""Validation scores of each task: additional columns of `history.csv`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..contracts.labels import CLASSIFICATION, SEGMENTATION
from .images import ImageSampler
from .sampling import PatchSampler, Sampler

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Validation:
    """How to sample and validate the cases of a task.

    Attributes:
        sampler: Class that samples batches.
        of_batch: Function of the probabilities and classes of a validation batch; returns an intermediate result.
        scores: Function of all batches' intermediate results; returns the scores by name.
        columns: Names of the scores.
    """

    sampler: type[Sampler]
    of_batch: Callable[[np.ndarray, np.ndarray], Any]
    scores: Callable[[Sequence[Any]], dict[str, float]]
    columns: tuple[str, ...]


def dice_of_batch(probabilities: np.ndarray, label: np.ndarray) -> list[float]:
    """Return the Dice of each patch and foreground class, if the class is present in the label or the prediction.

    Args:
        probabilities: (batch, *patch, classes).
        label: Classes, (batch, *patch).
    """
    scores = []
    for predicted, true in zip(probabilities.argmax(axis=-1), label, strict=True):
        for value in range(1, probabilities.shape[-1]):
            size = int((predicted == value).sum() + (true == value).sum())
            if size:
                scores.append(2 * int(((predicted == value) & (true == value)).sum()) / size)
    return scores


def segmentation_scores(batches: Sequence[list[float]]) -> dict[str, float]:
    """Return the mean of all Dice values; 0 if there are none."""
    scores = [score for batch in batches for score in batch]
    return {"validation_dice": float(np.mean(scores)) if scores else 0.0}


def classification_scores(batches: Sequence[Pair]) -> dict[str, float]:
    """Return the area under the ROC curve and the accuracy.

    With two classes, the area is that of the second; with more, the mean over classes, each against the rest.

    Args:
        batches: Probabilities (batch, classes) and classes (batch,).
    """
    from ..evaluation.roc import auc

    probabilities = np.concatenate([p for p, _ in batches])
    true = np.concatenate([y for _, y in batches])
    values = range(probabilities.shape[-1]) if probabilities.shape[-1] > 2 else (1,)
    areas = [auc(probabilities[:, v], true == v) for v in values if 0 < (true == v).sum() < len(true)]
    return {"validation_auc": float(np.mean(areas)),
            "validation_accuracy": float((probabilities.argmax(axis=-1) == true).mean())}


VALIDATIONS = {
    SEGMENTATION: Validation(PatchSampler, dice_of_batch, segmentation_scores, ("validation_dice",)),
    CLASSIFICATION: Validation(ImageSampler, lambda probabilities, label: (probabilities, label), classification_scores,
                               ("validation_auc", "validation_accuracy")),
}
