"""Task-specific parts of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..contracts.comparison import Comparison
from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from ..tracking.records import Evaluation
from . import classification, segmentation

if TYPE_CHECKING:
    import pandas as pd


class ReportTask(Protocol):
    """Content of the report that is specific to a task."""

    @property
    def SCORE(self) -> tuple[str, str]:
        """The validation score of the learning curves: column of `history.csv`, and display name."""

    @property
    def COLUMN(self) -> str:
        """Column of `metrics.csv` with the labels."""

    @property
    def WHAT(self) -> str:
        """Word for the labels."""

    def sections(self, comparison: Comparison | None, rows: pd.DataFrame | None, evaluations: Sequence[Evaluation],
                 networks: Sequence[tuple[str, str]], colours: dict[str, str]) -> dict[str, Any]:
        """Compute the template values that are specific to the task; `sections` names its template."""

    def warnings(self, rows: pd.DataFrame) -> list[str]:
        """Warn about metrics that need attention."""


TASKS: dict[str, ReportTask] = {SEGMENTATION: segmentation, CLASSIFICATION: classification}
