"""Format the comparison of a segmentation as CSV, and as Markdown and LaTeX in the form of the paper's Table I."""

from __future__ import annotations

from typing import Any

from ...contracts.comparison import MEAN, Comparison, MetricSummary, NetworkRow
from ...text import markdown as as_is
from ..configurations import NOT_CHOSEN, mark
from ..layout import Table, equivalence_text, interval_text, number, p_equivalence, p_text, pair_of, tables
from ..lesions import LESION_COLUMNS, LESION_METRICS, SEVERAL_LESIONS
from ..metrics import METRICS

TITLES = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "asd_mm": "ASD (mm)", "nsd_1mm": "NSD at 1 mm"}
LESION_TITLES = {"lesions": "Lesions per case", "lesion_dice": "Lesion-wise Dice", "lesion_sensitivity": "Sensitivity",
                 "false_lesions": "False positives per case", "panoptic_quality": "Panoptic quality"}
WITH_INTERVAL = "dice"
"""The metric that Markdown and LaTeX tables show with the interval of its mean; the CSV has all intervals."""
CSV_COLUMNS = ("arch", "width", "parameters", "label", "metric", "n", "undefined", "mean", "mean_low", "mean_high",
               "sd", "median", "reference", "pairs", "difference", "interval_low", "interval_high", "p_value",
               "p_holm", "p_equivalence", "configuration")


def summary_columns(metric: str) -> list[str]:
    """Return the column names of a metric's summary over cases."""
    return ["mean ± sd", *(["95 % interval"] if metric == WITH_INTERVAL else []), "median"]


def summary_cells(values: MetricSummary, metric: str) -> list[tuple[float | None, str]]:
    """Return the cells of `summary_columns` for a network's metric: the number to sort by, and the text."""
    mean = values.mean, f"{number(values.mean, metric)} ± {number(values.sd, metric)}"
    interval = values.mean, interval_text(values.interval, metric, signed=False)
    median = values.median, number(values.median, metric)
    return [mean, interval, median] if metric == WITH_INTERVAL else [mean, median]


def csv_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row per network, label and metric, with the columns `CSV_COLUMNS`."""
    rows = []
    for network in comparison.networks:
        for metric in (metric for metric in (*METRICS, *LESION_COLUMNS) if metric in network.metrics):
            pair = pair_of(comparison, network, metric)
            values = network.metrics[metric]
            mean_low, mean_high = values.interval or (None, None)
            low, high = (pair and pair.interval) or (None, None)
            rows.append({**{key: getattr(network, key) for key in ("arch", "width", "parameters", "label")},
                         "metric": metric, **vars(values), "mean_low": mean_low, "mean_high": mean_high,
                         "pairs": pair and pair.n, "interval_low": low, "interval_high": high,
                         **{key: pair and getattr(pair, key)
                            for key in ("reference", "difference", "p_value", "p_holm")},
                         "p_equivalence": p_equivalence(pair),
                         "configuration": mark(comparison.configurations, network.arch, network.width)})
    return rows


def lesions_of(comparison: Comparison) -> list[NetworkRow]:
    """Return the rows of `networks` whose label has several lesions per case, label by label."""
    rows = [row for row in comparison.networks if row.label != MEAN and row.metrics.keys() >= set(LESION_COLUMNS)
            and (row.metrics["lesions"].mean or 0) >= SEVERAL_LESIONS]
    return sorted(rows, key=lambda row: _rank(comparison, row.label))


def lesion_cells(row: NetworkRow) -> list[tuple[float | None, str]]:
    """Return the cells of `LESION_TITLES` for a network and label: the number to sort by, and the text."""
    found = [row.metrics[metric] for metric in LESION_COLUMNS]
    return [(values.mean, number(values.mean, metric) + (
        f" {interval_text(values.interval, metric, signed=False)}" if metric in LESION_METRICS else ""))
        for metric, values in zip(LESION_COLUMNS, found, strict=True)]


def lesions_table(comparison: Comparison) -> Table:
    """Return a table of lesion-wise metrics with one row per network and label; empty without several lesions."""
    rows = [[row.label, row.arch, _name(comparison, row), *(text for _, text in lesion_cells(row))]
            for row in lesions_of(comparison)]
    return Table(["Label", "Architecture", "Variant", *LESION_TITLES.values()], rows, 3,
                 f"{comparison.dataset}: lesions (connected components) of each network, means over cases with the "
                 "95 % bootstrap interval over cases.")


def networks_table(comparison: Comparison) -> Table:
    """Return a table with one row per network and label, as in the paper's Table I."""
    header = ["Label", "Architecture", "Variant", "Parameters (M)", "Cases"]
    for metric in METRICS:
        first, *rest = summary_columns(metric)
        header += [f"{TITLES[metric]}, {first}", *rest, "p"]
    rows = []
    for network in comparison.networks:
        row = [network.label, network.arch, _name(comparison, network), f"{network.parameters / 1e6:.3f}",
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


def markdown(comparison: Comparison) -> str:
    """Return the comparison in Markdown: title, table of networks, table of differences, and notes."""
    lines = [f"# {as_is(comparison.dataset)}: comparison of networks", "",
             f"Recipe `{comparison.recipe}`. The 95 % interval is of the mean, by bootstrap over cases.", ""]
    lines += networks_table(comparison).markdown()
    if lesions_of(comparison):
        lines += ["", "Lesions (connected components), means over cases with the 95 % bootstrap interval:", ""]
        lines += lesions_table(comparison).markdown()
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
    """Return all tables in LaTeX."""
    return tables(networks_table(comparison), lesions_table(comparison), differences_table(comparison))


def _name(comparison: Comparison, network: NetworkRow) -> str:
    """Return the name of a network in a table, with `(not chosen)` if its other configuration is used."""
    unused = mark(comparison.configurations, network.arch, network.width) == NOT_CHOSEN
    return f"{network.width} ({NOT_CHOSEN})" if unused else network.width


def _rank(comparison: Comparison, label: str) -> int:
    """Return the position of a label in the dataset's order; the mean is last."""
    order = list(dict.fromkeys(row.label for row in comparison.networks))
    return order.index(label)
