"""Table II and Figure 5a: the classifiers' area under the ROC curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..contracts.comparison import Comparison, NetworkRow
from ..evaluation.comparison import compare
from ..evaluation.layout import equivalence_text, markdown_table, p_equivalence, p_text, pair_of
from ..evaluation.statistics import holm
from ..text import drawn
from . import drawing
from .inputs import Inputs
from .outcome import Outcome, published
from .saturation import WIDTHS, sizes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OTHERS = ("accuracy", "sensitivity", "specificity")
NOT_EQUIVALENCE = ("p is of DeLong's test on the same cases. p > 0.05 says that no difference was found, not that "
                   "there is none: that is what the equivalence test is for (two one-sided tests against a margin of "
                   "one AUC point, 0.01).")


def accuracy(inputs: Inputs) -> Outcome:
    """Draw Table II: one row per class, network and width, followed by the paper's rows."""
    inputs.need(comparison=inputs.comparison)
    comparison = inputs.compared
    rows = [_row(comparison, network) for network in comparison.networks]
    table = [[f"{comparison.dataset}, {network.label}", network.arch, network.width,
              f"{network.parameters / 1e6:.3f}", *_cells(comparison, network)] for network in comparison.networks]
    for theirs in published()["table_2"]:
        rows.append({"source": "published", "task": theirs["task"], "arch": theirs["architecture"],
                     "width": theirs["width"], "parameters_m": theirs["parameters_m"], "auc": theirs["auc"]})
        table.append([f"{theirs['task']} (published)", theirs["architecture"], theirs["width"],
                      f"{theirs['parameters_m']:g}", f"{theirs['auc']:.3f}", *[""] * 7])
    header = ["Task", "Architecture", "Variant", "Parameters (M)", "AUC [95 %]", "Accuracy", "Sensitivity",
              "Specificity", "AUC difference [95 %]", "p", "p, Holm", "equivalent within 1 point"]
    notes = [NOT_EQUIVALENCE, "AUC with DeLong's interval. The paper gives neither interval nor test for its AUC.",
             *dict.fromkeys([*_caution(inputs), *comparison.notes])]
    return Outcome(rows, markdown_table(header, table, numeric=3), _accuracy_figure(comparison),
                   "Area under the ROC curve with its 95 % interval, full and pocket. The paper has no figure for its "
                   "Table II.", notes, {})


def saturation(inputs: Inputs) -> Outcome:
    """Draw Figure 5a: AUC on the same test cases by the number of training cases."""
    inputs.need(evaluations=inputs.rows)
    sizes = sizes_of(inputs.splits)
    rows, texts = [], []
    for fold, size in sorted(sizes.items(), key=lambda item: item[1]):
        mine = inputs.measured[inputs.measured["fold"] == fold]
        if mine.empty:
            continue
        comparison = compare(mine.assign(file="metrics.csv"))
        for network in comparison.networks:
            rows.append({"train_size": size} | _row(comparison, network))
            texts.append([str(size), network.label, network.arch, network.width, str(network.cases),
                          *_cells(comparison, network)])
    for row, text, corrected in zip(rows, texts, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = corrected
        text[-2] = p_text(corrected) if corrected is not None else ""
    header = ["Training cases", "Class", "Architecture", "Variant", "Test cases", "AUC [95 %]", "Accuracy",
              "Sensitivity", "Specificity", "AUC difference [95 %]", "p", "p, Holm", "equivalent within 1 point"]
    last = inputs.splits.folds[-1]
    notes = [f"Each training set holds the smaller ones, classes in proportion; all have the same "
             f"{len(last.validation)} validation and {len(last.test)} test cases, the same number of steps, and "
             "no augmentation (paper, Section III-E).", NOT_EQUIVALENCE, "Holm's correction is over sizes.",
             "One training a size: a difference between sizes includes the chance of a training's initial weights.",
             "The paper has this as a figure: not published as numbers.", *_caution(inputs)]
    return Outcome(rows, markdown_table(header, texts, numeric=4), _saturation_figure(rows, inputs.plan.dataset),
                   "Area under the ROC curve on the same test cases by the number of training cases, with 95 % "
                   "intervals.", notes, {"training_sizes": sorted(sizes.values()), "augmentation": False})


def _caution(inputs: Inputs) -> list[str]:
    return [inputs.manifest.caution] if inputs.manifest.caution else []


def _row(comparison: Comparison, network: NetworkRow) -> dict[str, Any]:
    auc, pair = network.metrics["auc"], pair_of(comparison, network, "auc")
    (low, high), (below, above) = auc.interval or (None, None), (pair and pair.interval) or (None, None)
    return {"source": "ours", "task": comparison.dataset, "label": network.label, "arch": network.arch,
            "width": network.width, "parameters_m": network.parameters / 1e6, "cases": network.cases,
            "auc": auc.mean, "auc_low": low, "auc_high": high,
            **{name: network.metrics[name].mean for name in OTHERS},
            "difference": pair and pair.difference, "interval_low": below, "interval_high": above,
            "p_value": pair and pair.p_value, "p_holm": pair and pair.p_holm, "p_equivalence": p_equivalence(pair)}


def _cells(comparison: Comparison, network: NetworkRow) -> list[str]:
    row, pair = _row(comparison, network), pair_of(comparison, network, "auc")
    cells = [_with_interval(row["auc"], row["auc_low"], row["auc_high"]),
             *("–" if row[name] is None else f"{row[name]:.4f}" for name in OTHERS)]
    if not pair:
        return [*cells, "", "", "", ""]
    return [*cells, _with_interval(row["difference"], row["interval_low"], row["interval_high"], "+"),
            p_text(pair.p_value), p_text(pair.p_holm), equivalence_text(pair)]


def _with_interval(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    if value is None:
        return "–"
    text = f"{value:{sign}.4f}" + (f" [{low:{sign}.4f}, {high:{sign}.4f}]" if low is not None else "")
    return text.replace("-", "−")


def _accuracy_figure(comparison: Comparison) -> Figure:
    networks = comparison.networks
    with drawing.new_figure(2.2 + 1.1 * len(networks), 3.2) as figure:
        axis = figure.subplots()
        for place, network in enumerate(networks):
            _point(axis, place, _row(comparison, network))
        axis.set_xticks(range(len(networks)), [f"{network.width}\n{drawn(network.label)}" for network in networks])
        axis.set_xlim(-0.6, len(networks) - 0.4)
        axis.set_ylabel("AUC")
        axis.set_title(f"{drawn(comparison.dataset)}: classifiers")
        axis.grid(axis="y")
    return figure


def _saturation_figure(rows: list[dict[str, Any]], dataset: str) -> Figure:
    labels = list(dict.fromkeys(row["label"] for row in rows))
    sizes = sorted({row["train_size"] for row in rows})
    with drawing.new_figure(2 + 1.0 * len(sizes), 3.1 * len(labels)) as figure:
        axes = figure.subplots(len(labels), 1, squeeze=False)[:, 0]
        for axis, label in zip(axes, labels, strict=True):
            for side, width in ((-0.08, "full"), (0.08, "pocket")):
                mine = [row for row in rows if row["label"] == label and row["width"] == width]
                places = [sizes.index(row["train_size"]) + side for row in mine]
                axis.plot(places, [row["auc"] for row in mine], color=drawing.colour(width),
                          linestyle="--" if width == "pocket" else "-")
                for place, row in zip(places, mine, strict=True):
                    _point(axis, place, row)
            axis.set_xticks(range(len(sizes)), sizes)
            axis.set_xlabel("training cases")
            axis.set_ylabel("AUC")
            axis.set_title(f"{drawn(dataset)}, {drawn(label)}: same test cases, growing training set")
            axis.grid(axis="y")
        drawing.legend(axes[0], list(WIDTHS), loc="lower right", fontsize=8)
    return figure


def _point(axis: Axes, place: float, row: dict[str, Any]) -> None:
    if row["auc_low"] is not None:
        axis.vlines(place, row["auc_low"], row["auc_high"], color=drawing.colour(row["width"]), linewidth=1.4)
    axis.plot([place], [row["auc"]], marker="o" if row["width"] == "full" else "s", markeredgecolor="black",
              color=drawing.colour(row["width"]))
