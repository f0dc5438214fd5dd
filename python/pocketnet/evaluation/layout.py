"""Format numbers and tables; each task has a module `layout` that makes the tables of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..contracts.baseline import Baseline
from ..contracts.comparison import Comparison, NetworkRow, Pair
from ..text import by_column
from ..text import markdown as as_is
from . import latex as tex

NEEDS = "% needs \\usepackage{booktabs} and \\usepackage{graphicx}"
SHARES = ("dice", "nsd_1mm", "lesion_dice", "lesion_sensitivity", "panoptic_quality")
"""Metrics from 0 to 1; higher is better."""


class Table(NamedTuple):
    """A table with formatted cells.

    Attributes:
        header: Column names.
        rows: Cells as text.
        numeric: Index of the first right-aligned column.
        caption: Caption of the table.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: int
    caption: str

    def markdown(self) -> list[str]:
        """Return the table's lines in Markdown, without the caption."""
        return markdown_table(self.header, self.rows, self.numeric)

    def latex(self) -> str:
        """Return the table in LaTeX."""
        return tex.table(self.header, self.rows, self.numeric, self.caption)


def number(value: float | None, metric: str, signed: bool = False) -> str:
    """Format a metric: four decimals for values from 0 to 1, two for mm; a dash for None."""
    if value is None:
        return "–"
    text = f"{value:{'+' if signed else ''}.{4 if metric in SHARES else 2}f}"
    return text.replace("-", "−")


def p_text(value: float | None) -> str:
    """Format a p-value; a dash for None."""
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def interval_text(interval: Sequence[float] | None, metric: str, signed: bool = True) -> str:
    """Format a confidence interval: signed for a difference, unsigned for a mean; a dash for None."""
    if interval is None:
        return "–"
    return f"[{', '.join(number(end, metric, signed) for end in interval)}]"


def pair_of(comparison: Comparison, network: NetworkRow, metric: str) -> Pair | None:
    """Return the pair that compares a row of `networks` with the full network; None for the full network itself."""
    keys = ("arch", "width", "label")
    for pair in comparison.pairs:
        if pair.metric == metric and all(getattr(pair, key) == getattr(network, key) for key in keys):
            return pair
    return None


def baseline_markdown(comparison: Comparison, baseline: Baseline, differences: Callable[[Comparison], Table]) -> str:
    """Return the pairs of a `baseline.json` in Markdown.

    Args:
        comparison: The comparison of this run.
        baseline: The pairs with the baseline.
        differences: The function that makes the table of differences of a comparison.
    """
    steps = " or ".join(f"{steps:,}" for steps in baseline.steps)
    lines = [f"Difference to the same network of the baseline (recipe `{baseline.recipe}`"
             + (f", {steps} steps" if steps else "") + "; this − baseline), paired by case:"]
    return "\n".join([*lines, "", *differences(replace(comparison, pairs=baseline.pairs)).markdown()]) + "\n"


def tables(*tables: Table) -> str:
    """Return the LaTeX of the non-empty tables, after a comment that names the required packages."""
    parts = [NEEDS, *(table.latex() for table in tables if table.rows)]
    return "\n\n".join(parts) + "\n"


def p_equivalence(pair: Pair | None) -> float | None:
    """Return the p-value of a pair's equivalence test; None without a test."""
    return pair.equivalence.p_value if pair and pair.equivalence else None


def equivalence_text(pair: Pair) -> str:
    """Format the result of a pair's equivalence test; empty for a metric without the test."""
    outcome = pair.equivalence
    if outcome is None:
        return ""
    if outcome.p_value is None:
        return "–"
    return f"{'yes' if outcome.equivalent else 'not shown'} (p {p_text(outcome.p_value)})"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: int) -> list[str]:
    """Return the lines of a Markdown table of plain text; the columns from `numeric` on are right-aligned.

    Raises:
        ValueError: A row has more or fewer cells than the header.
    """
    if any(len(cells) != len(header) for cells in rows):
        raise ValueError(f"A row does not have the {len(header)} cells of its header: {header}")
    rule = ["---"] * numeric + ["---:"] * (len(header) - numeric)
    return [f"| {' | '.join(map(as_is, cells))} |" for cells in (header, rule, *rows)]


def csv_text(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    """Format rows as CSV with six significant digits and empty fields for None."""
    return by_column(columns, rows)
