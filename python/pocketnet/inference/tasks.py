"""Task-specific parts of serving a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from . import classification, segmentation


class InferenceTask(Protocol):
    """Application of a model to the content of files."""

    def suffix(self, content: bytes) -> str:
        """Return the suffix of an image file by its first bytes."""

    def load(self, folder: Path) -> Any:
        """Open a model folder."""

    def answer(self, network: Any, images: Sequence[Path]) -> dict[str, Any]:
        """Apply what `load` returned to the images of a case; return a value per column of the answer."""


TASKS: dict[str, InferenceTask] = {SEGMENTATION: segmentation, CLASSIFICATION: classification}
