"""Task-specific parts of preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..contracts.manifest import Case, Manifest
from ..contracts.plan import Preprocessing
from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from . import classification, segmentation


class PreprocessingTask(Protocol):
    """Preprocessing of a task's cases."""

    def write_case(self, entry: Case, listing: Manifest, folder: Path, preprocessing: Preprocessing,
                   output: Path) -> tuple[str, ...]:
        """Preprocess one case into a store and return warnings; see `dataset.write_stores` for the arguments.

        Raises:
            DataError: A file is unusable, or the files do not belong together.
        """


TASKS: dict[str, PreprocessingTask] = {SEGMENTATION: segmentation, CLASSIFICATION: classification}
