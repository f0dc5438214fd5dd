"""Format the comparison of a classification as CSV, and as Markdown and LaTeX in the form of the paper's Table II."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...contracts.comparison import Comparison
from ...text import markdown as as_is
from ..layout import Table, equivalence_text, p_equivalence, p_text, pair_of, tables
from .metrics import CLASS_METRICS

TITLES = {"auc": "AUC", "accuracy": "Accuracy", "sensitivity": "Sensitivity", "specificity": "Specificity"}
CSV_COLUMNS = ("arch", "width", "parameters", "label", "metric", "n", "value", "interval_low", "interval_high",
               "reference", "pairs", "difference", "difference_low", "difference_high", "test", "p_value", "p_holm",
               "p_equivalence")
HOW = ("AUC: mean over folds of the area under the ROC curve, 95 % interval by DeLong; accuracy, sensitivity and "
       "specificity at the most probable class, over all cases, 95 % intervals by Wilson.")
HOW_PAIRED = ("Other − full on the same cases. AUC: DeLong's test and interval, equivalence by two one-sided tests "
              "against a margin of one AUC point (0.01). Accuracy: McNemar's exact test. A large p is not equivalence.")


def number(value: float | None, signed: bool = False) -> str:
    """Format a value with four decimals; a dash for None."""
    return "–" if value is None else f"{value:{'+' if signed else ''}.4f}".replace("-", "−")


def interval_text(interval: Sequence[float] | None, signed: bool = False) -> str:
    """Format a confidence interval; a dash for None."""
    return "–" if interval is None else f"[{number(interval[0], signed)}, {number(interval[1], signed)}]"


def csv_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row per network, class and metric, with the columns `CSV_COLUMNS`."""
    rows = []
    for network in comparison.networks:
        for metric in CLASS_METRICS:
            found, pair = network.metrics[metric], pair_of(comparison, network, metric)
            low, high = found.interval or (None, None)
            difference_low, difference_high = (pair and pair.interval) or (None, None)
            rows.append({**{key: getattr(network, key) for key in ("arch", "width", "parameters", "label")},
                         "metric": metric, "n": found.n, "value": found.mean,
                         "interval_low": low, "interval_high": high,
                         "pairs": pair and pair.n, "difference_low": difference_low, "difference_high": difference_high,
                         **{key: pair and getattr(pair, key)
                            for key in ("reference", "difference", "test", "p_value", "p_holm")},
                         "p_equivalence": p_equivalence(pair)})
    return rows


def networks_table(comparison: Comparison) -> Table:
    """Return a table with one row per network and class, as in the paper's Table II."""
    header = ["Class", "Architecture", "Variant", "Parameters (M)", "Cases", *TITLES.values()]
    rows = [[row.label, row.arch, row.width, f"{row.parameters / 1e6:.3f}", str(row.cases),
             *(f"{number(row.metrics[m].mean)} {interval_text(row.metrics[m].interval)}" for m in CLASS_METRICS)]
            for row in comparison.networks]
    return Table(header, rows, 3, f"{comparison.dataset}, recipe {comparison.recipe}. {HOW}")


def differences_table(comparison: Comparison) -> Table:
    """Return a table with one row per pair of networks, class and metric; empty without pairs."""
    header = ["Class", "Architecture", "Variant", "Metric", "Pairs", "Difference", "95 % interval", "Test", "p",
              "p, Holm", "Equivalence"]
    rows = [[pair.label, pair.arch, pair.width, TITLES[pair.metric], str(pair.n),
             number(pair.difference, True), interval_text(pair.interval, True), pair.test or "",
             p_text(pair.p_value), p_text(pair.p_holm), equivalence_text(pair)]
            for pair in comparison.pairs]
    return Table(header, rows, 4, f"{comparison.dataset}. {HOW_PAIRED}")


def markdown(comparison: Comparison) -> str:
    """Return the comparison in Markdown: title, table of networks, table of differences, and notes."""
    lines = [f"# {as_is(comparison.dataset)}: comparison of networks", "", f"Recipe `{comparison.recipe}`.", ""]
    lines += [*networks_table(comparison).markdown(), "", HOW]
    if comparison.pairs:
        lines += ["", *differences_table(comparison).markdown(), "", HOW_PAIRED]
    if comparison.notes:
        lines += ["", "Notes:", "", *(f"- {as_is(note)}" for note in comparison.notes)]
    return "\n".join(lines) + "\n"


def latex(comparison: Comparison) -> str:
    """Return both tables in LaTeX."""
    return tables(networks_table(comparison), differences_table(comparison))
