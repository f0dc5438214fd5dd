"""Task-specific parts of tracking: the metrics of a run, and the served model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from . import classification, segmentation

if TYPE_CHECKING:
    import pandas as pd

    from ..contracts.plan import Plan


class TrackingTask(Protocol):
    """Records of a task in MLflow."""

    @property
    def FILES(self) -> tuple[str, ...]:
        """Files of an evaluation to store, beside its metrics and pictures."""

    def aggregate(self, rows: pd.DataFrame) -> dict[str, float]:
        """Return the metrics of a run, from the rows of its `metrics.csv`."""

    def outputs(self, plan: Plan) -> list[tuple[str, str]]:
        """Return MLflow's type and the name of each column of an answer."""

    def encode(self, image: np.ndarray) -> bytes:
        """Return an image with values up to 255 as the content of a file."""


TASKS: dict[str, TrackingTask] = {SEGMENTATION: segmentation, CLASSIFICATION: classification}
