"""What validation says beside the loss, by task: a row's further columns in `history.csv`."""

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
class Task:
    """How a task's cases are sampled and validated.

    Attributes:
        sampler: Makes its batches.
        of_batch: What is kept of a validation batch, from its probabilities and classes.
        scores: From what was kept of each batch to named scores.
        columns: The scores' names.
    """

    sampler: type[Sampler]
    of_batch: Callable[[np.ndarray, np.ndarray], Any]
    scores: Callable[[Sequence[Any]], dict[str, float]]
    columns: tuple[str, ...]


def dice_of_batch(probabilities: np.ndarray, label: np.ndarray) -> list[float]:
    """Dice of each patch and class that the patch has or predicts.

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
    """The mean of all Dice values; 0 when there is none."""
    scores = [score for batch in batches for score in batch]
    return {"validation_dice": float(np.mean(scores)) if scores else 0.0}


def classification_scores(batches: Sequence[Pair]) -> dict[str, float]:
    """Area under the ROC curve (of the last class; of several classes the mean of each against the rest) and accuracy.

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


TASKS = {
    SEGMENTATION: Task(PatchSampler, dice_of_batch, segmentation_scores, ("validation_dice",)),
    CLASSIFICATION: Task(ImageSampler, lambda probabilities, label: (probabilities, label), classification_scores,
                         ("validation_auc", "validation_accuracy")),
}
