"""What tracking does differently by task: the metrics of a run, and the served model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from . import classification, segmentation

if TYPE_CHECKING:
    import pandas as pd

    from ..contracts.plan import Plan


class TrackingTask(Protocol):
    """Records of a task in MLflow. `load` and `answer` run in the served model."""

    def aggregate(self, rows: pd.DataFrame) -> dict[str, float]:
        """Return the metrics of a run, from the rows of its `metrics.csv`."""

    def outputs(self, plan: Plan) -> list[tuple[str, str]]:
        """Return MLflow's type and the name of each column of an answer."""

    def encode(self, image: np.ndarray) -> bytes:
        """Return an image with values up to 255 as the content of a file."""

    def suffix(self, content: bytes) -> str:
        """Return the suffix of an image file by its first bytes."""

    def load(self, folder: Path) -> Any:
        """Open a model folder."""

    def answer(self, network: Any, images: Sequence[Path]) -> dict[str, Any]:
        """Apply what `load` returned to the images of a case; return a value per column."""


TASKS: dict[str, TrackingTask] = {SEGMENTATION: segmentation, CLASSIFICATION: classification}
