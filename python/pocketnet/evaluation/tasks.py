"""What evaluation does differently by task: the table's layout, the comparison, and the evaluation of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..contracts.comparison import Comparison, NetworkRow, Pair
from ..contracts.manifest import Case, Manifest
from ..contracts.provenance import Provenance
from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from .cases import Evaluated
from .classification import comparison as class_comparison
from .classification import evaluate as class_evaluate
from .classification import layout as class_layout
from .layout import Table
from .segmentation import comparison as label_comparison
from .segmentation import evaluate as label_evaluate
from .segmentation import layout as label_layout

if TYPE_CHECKING:
    import pandas as pd


class Layout(Protocol):
    """Tables of a comparison."""

    @property
    def TITLES(self) -> dict[str, str]:
        """Display name of each metric."""

    @property
    def CSV_COLUMNS(self) -> tuple[str, ...]:
        """Columns of `comparison.csv`."""

    def csv_rows(self, comparison: Comparison) -> list[dict[str, Any]]:
        """Return one row per network, label and metric, with the columns `CSV_COLUMNS`."""

    def networks_table(self, comparison: Comparison) -> Table:
        """Return a table with one row per network and label."""

    def differences_table(self, comparison: Comparison) -> Table:
        """Return a table with one row per pair of networks, label and metric; empty without pairs."""

    def markdown(self, comparison: Comparison) -> str:
        """Return the comparison in Markdown."""

    def latex(self, comparison: Comparison) -> str:
        """Return both tables in LaTeX."""


class Compare(Protocol):
    """Comparison of networks by the rows of `metrics.csv`."""

    def labels(self, rows: pd.DataFrame) -> list[str]:
        """Return the compared labels in order."""

    def with_means(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows, with those of means over labels if the task has them."""

    def networks(self, arch: str, width: str, labels: Sequence[str], rows: pd.DataFrame) -> list[NetworkRow]:
        """Return the rows of `networks` of one network, from its rows of `with_means`."""

    def pairs(self, arch: str, width: str, name: str, reference: pd.DataFrame, other: pd.DataFrame) -> list[Pair]:
        """Compute the `pairs` of a network with a reference; see `comparison.pairs_between`."""

    def notes(self, networks: Sequence[NetworkRow]) -> list[str]:
        """Return notes on values that are left out."""

    def is_headline(self, pair: Pair) -> bool:
        """Return whether the verdict is on this pair."""


class Evaluate(Protocol):
    """Evaluation of a model's predictions."""

    @property
    def FILES(self) -> dict[str, str | None]:
        """Files written in addition to `metrics.csv` and `overlays.json`, with their kinds."""

    @property
    def RANKS(self) -> tuple[str, ...]:
        """First parts of the names of pictures."""

    def evaluate(self, listing: Manifest, where: Path, folder: Path, predictions: Path, run: Provenance, output: Path,
                 progress: Callable[[Sequence[Case]], Iterable[Case]] = iter) -> Evaluated:
        """Write `metrics.csv`, `overlays.json` with its pictures, and `FILES`.

        Raises:
            DataError: Predictions are missing or invalid, or cases cannot be evaluated.
        """

    def cautions(self, metrics: Sequence[Path]) -> list[str]:
        """Collect the cautions of the evaluations in the folders of these `metrics.csv` files."""


@dataclass(frozen=True)
class EvaluationTask:
    """Evaluation of a task, one module for each part."""

    layout: Layout
    comparison: Compare
    evaluate: Evaluate


TASKS: dict[str, EvaluationTask] = {
    SEGMENTATION: EvaluationTask(label_layout, label_comparison, label_evaluate),
    CLASSIFICATION: EvaluationTask(class_layout, class_comparison, class_evaluate),
}
