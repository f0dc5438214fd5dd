"""Task-specific parts of training: the batches and the validation scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ..contracts.labels import Label
from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from . import classification, segmentation
from .sampling import Sampler


class TrainingTask(Protocol):
    """How the cases of a task are sampled and validated."""

    @property
    def SAMPLER(self) -> type[Sampler]:
        """Class that samples batches."""

    @property
    def SAMPLES(self) -> str:
        """Name of the samples of a batch in messages, in the plural."""

    @property
    def COLUMNS(self) -> tuple[str, ...]:
        """Names of the validation scores, the main one first: additional columns of `history.csv`."""

    def of_batch(self, probabilities: np.ndarray, label: np.ndarray, labels: Sequence[Label]) -> Any:
        """Return what `scores` needs of the probabilities and classes of a validation batch, for the plan's labels."""

    def scores(self, batches: Sequence[Any]) -> dict[str, float]:
        """Return the scores by name, from the results of `of_batch` for all batches."""


TASKS: dict[str, TrainingTask] = {SEGMENTATION: segmentation, CLASSIFICATION: classification}
