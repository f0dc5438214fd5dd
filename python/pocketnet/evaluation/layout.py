"""Format a comparison as CSV, and as Markdown and LaTeX in the form of the paper's Table I."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..contracts.baseline import Baseline
from ..contracts.comparison import Comparison, MetricSummary, NetworkRow, Pair
from ..text import by_column
from ..text import markdown as as_is
from . import latex as tex
from .metrics import METRICS

NEEDS = "% needs \\usepackage{booktabs} and \\usepackage{graphicx}"
TITLES = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "asd_mm": "ASD (mm)", "nsd_1mm": "NSD at 1 mm"}
SHARES = ("dice", "nsd_1mm")
"""Metrics from 0 to 1; higher is better."""
WITH_INTERVAL = "dice"
"""The metric that Markdown and LaTeX tables show with the interval of its mean; the CSV has all intervals."""
CSV_COLUMNS = ("arch", "width", "parameters", "label", "metric", "n", "undefined", "mean", "mean_low", "mean_high",
               "sd", "median", "reference", "pairs", "difference", "interval_low", "interval_high", "p_value",
               "p_holm", "p_equivalence")


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


def summary_columns(metric: str) -> list[str]:
    """Return the column names of a metric's summary over cases."""
    return ["mean ± sd", *(["95 % interval"] if metric == WITH_INTERVAL else []), "median"]


def summary_cells(values: MetricSummary, metric: str) -> list[tuple[float | None, str]]:
    """Return the cells of `summary_columns` for a network's metric: the number to sort by, and the text."""
    mean = values.mean, f"{number(values.mean, metric)} ± {number(values.sd, metric)}"
    interval = values.mean, interval_text(values.interval, metric, signed=False)
    median = values.median, number(values.median, metric)
    return [mean, interval, median] if metric == WITH_INTERVAL else [mean, median]


def pair_of(comparison: Comparison, network: NetworkRow, metric: str) -> Pair | None:
    """Return the pair that compares a row of `networks` with the full network; None for the full network itself."""
    keys = ("arch", "width", "label")
    for pair in comparison.pairs:
        if pair.metric == metric and all(getattr(pair, key) == getattr(network, key) for key in keys):
            return pair
    return None


def csv_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row per network, label and metric, with the columns `CSV_COLUMNS`."""
    rows = []
    for network in comparison.networks:
        for metric in METRICS:
            pair = pair_of(comparison, network, metric)
            values = network.metrics[metric]
            mean_low, mean_high = values.interval or (None, None)
            low, high = (pair and pair.interval) or (None, None)
            rows.append({**{key: getattr(network, key) for key in ("arch", "width", "parameters", "label")},
                         "metric": metric, **vars(values), "mean_low": mean_low, "mean_high": mean_high,
                         "pairs": pair and pair.n, "interval_low": low, "interval_high": high,
                         **{key: pair and getattr(pair, key)
                            for key in ("reference", "difference", "p_value", "p_holm")},
                         "p_equivalence": p_equivalence(pair)})
    return rows


def networks_table(comparison: Comparison) -> Table:
    """Return a table with one row per network and label, as in the paper's Table I."""
    header = ["Label", "Architecture", "Variant", "Parameters (M)", "Cases"]
    for metric in METRICS:
        first, *rest = summary_columns(metric)
        header += [f"{TITLES[metric]}, {first}", *rest, "p"]
    rows = []
    for network in comparison.networks:
        row = [network.label, network.arch, network.width, f"{network.parameters / 1e6:.3f}",
               str(network.cases)]
        for metric in METRICS:
            values, pair = network.metrics[metric], pair_of(comparison, network, metric)
            row += [*(text for _, text in summary_cells(values, metric)), p_text(pair.p_value) if pair else ""]
        rows.append(row)
    return Table(header, sorted(rows, key=lambda row: _rank(comparison, row[0])), 3,
                 f"{comparison.dataset}: accuracy of each network over cases, recipe {comparison.recipe}. "
                 "95 % interval: of the mean, by bootstrap over cases. p: two-sided Wilcoxon signed-rank test against "
                 "the full network, paired by case.")


def differences_table(comparison: Comparison) -> Table:
    """Return a table with one row per pair of networks, label and metric; empty without pairs."""
    header = ["Label", "Architecture", "Variant", "Metric", "Pairs", "Difference", "95 % interval", "p", "p, Holm",
              "Equivalence"]
    rows = [[pair.label, pair.arch, pair.width, TITLES[pair.metric], str(pair.n),
             number(pair.difference, pair.metric, True), interval_text(pair.interval, pair.metric),
             p_text(pair.p_value), p_text(pair.p_holm), equivalence_text(pair)]
            for pair in comparison.pairs]
    return Table(header, sorted(rows, key=lambda row: _rank(comparison, row[0])), 4,
                 f"{comparison.dataset}: difference to the full network (other − full), paired by case. "
                 "Equivalence: two one-sided tests against one Dice point.")


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


def markdown(comparison: Comparison) -> str:
    """Return the comparison in Markdown: title, table of networks, table of differences, and notes."""
    lines = [f"# {as_is(comparison.dataset)}: comparison of networks", "",
             f"Recipe `{comparison.recipe}`. The 95 % interval is of the mean, by bootstrap over cases.", ""]
    lines += networks_table(comparison).markdown()
    if comparison.pairs:
        lines += ["", "Difference to the full network, paired by case (other − full), with the 95 % bootstrap "
                  "interval over cases, p of the two-sided Wilcoxon signed-rank test, and Holm's correction of it over "
                  "the rows of a metric:", ""]
        lines += differences_table(comparison).markdown()
        lines += ["", "Equivalence: two one-sided paired t-tests against a margin of one Dice point (0.01). A large "
                  "Wilcoxon p is not equivalence."]
    if comparison.notes:
        lines += ["", "Notes:", "", *(f"- {as_is(note)}" for note in comparison.notes)]
    return "\n".join(lines) + "\n"


def latex(comparison: Comparison) -> str:
    """Return both tables in LaTeX."""
    return two_tables(networks_table(comparison), differences_table(comparison))


def two_tables(networks: Table, differences: Table) -> str:
    """Return the LaTeX of the non-empty tables, after a comment that names the required packages."""
    parts = [NEEDS, *(table.latex() for table in (networks, differences) if table.rows)]
    return "\n\n".join(parts) + "\n"


def _rank(comparison: Comparison, label: str) -> int:
    """Return the position of a label in the dataset's order; the mean is last."""
    order = list(dict.fromkeys(row.label for row in comparison.networks))
    return order.index(label)


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
