"""Task-specific parts of the evaluation of predictions.

It is separate from the comparison (`tasks.py`), so that the code of `pocket-evaluate` does not include the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from ..contracts.manifest import Case, Manifest
from ..contracts.provenance import Provenance
from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from .cases import Evaluated, Sources
from .classification import evaluate as of_classes
from .segmentation import evaluate as of_labels


class Evaluate(Protocol):
    """Evaluation of a model's predictions."""

    @property
    def FILES(self) -> dict[str, str | None]:
        """Files written in addition to `metrics.csv` and `overlays.json`, with their kinds."""

    @property
    def RANKS(self) -> tuple[str, ...]:
        """First parts of the names of pictures."""

    def evaluate(self, listing: Manifest, where: Path, folder: Path, sources: Sources, run: Provenance, output: Path,
                 progress: Callable[[Sequence[Case]], Iterable[Case]] = iter) -> Evaluated:
        """Write `metrics.csv`, `overlays.json` with its pictures, and `FILES`.

        Raises:
            UsageError: The task's cases cannot be evaluated in parts.
            DataError: Predictions are missing or invalid, or cases cannot be evaluated.
        """


TASKS: dict[str, Evaluate] = {SEGMENTATION: of_labels, CLASSIFICATION: of_classes}
