"""Task-specific parts of the comparison of networks: its tables and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..contracts.comparison import Comparison, NetworkRow, Pair
from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from .classification import comparison as class_comparison
from .classification import layout as class_layout
from .headline import Headline
from .layout import Table
from .segmentation import comparison as label_comparison
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

    @property
    def HEADLINE(self) -> Headline:
        """The metric that the verdict is on."""

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

    def cautions(self, metrics: Sequence[Path]) -> list[str]:
        """Collect the cautions of the evaluations in the folders of these `metrics.csv` files."""

    def headline_rows(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return those rows of `with_means` that the verdict is on."""

    def is_headline(self, pair: Pair) -> bool:
        """Return whether the verdict is on this pair."""


@dataclass(frozen=True)
class ComparisonTask:
    """Comparison of a task's networks, one module for each part."""

    layout: Layout
    comparison: Compare


TASKS: dict[str, ComparisonTask] = {
    SEGMENTATION: ComparisonTask(label_layout, label_comparison),
    CLASSIFICATION: ComparisonTask(class_layout, class_comparison),
}
