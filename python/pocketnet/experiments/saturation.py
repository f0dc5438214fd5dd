"""Figure 5b: accuracy by the size of the training set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contracts.comparison import MEAN
from ..contracts.splits import Splits
from ..errors import DataError, UsageError
from ..evaluation.comparison import compare
from ..evaluation.layout import equivalence_text, interval_text, markdown_table, number, p_equivalence, p_text, pair_of
from ..evaluation.statistics import holm
from ..text import drawn
from . import drawing
from .inputs import Inputs
from .outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = ("full", "pocket")


def sizes_of(splits: Splits) -> dict[int, int]:
    """Return the number of training cases per fold.

    Raises:
        UsageError: If the splits are not training sets of several sizes.
    """
    sizes = {entry.fold: entry.train_size for entry in splits.folds if entry.train_size}
    if not sizes:
        raise UsageError("These splits are folds, not training sets of several sizes.",
                         todo="Plan with pocket-plan --experiment saturation.")
    return sizes


def tabulate(inputs: Inputs) -> Outcome:
    """Draw one row per size, architecture and width: Dice on the same test cases.

    Raises:
        DataError: An evaluation is of a training set that the splits do not have.
    """
    inputs.need(evaluations=inputs.rows)
    sizes = sizes_of(inputs.splits)
    if unknown := sorted(set(inputs.measured["fold"]) - set(sizes)):
        raise DataError(f"The evaluations are of folds {', '.join(map(str, unknown))}, which these splits do not have.",
                        todo="Give the splits that the networks were trained with.")
    rows, pairs = [], []
    for fold, size in sorted(sizes.items(), key=lambda item: item[1]):
        mine = inputs.measured[inputs.measured["fold"] == fold]
        if mine.empty:
            continue
        comparison = compare(mine.assign(file="metrics.csv"))
        for network in (row for row in comparison.networks if row.label == MEAN):
            pair = pair_of(comparison, network, "dice")
            low, high = (pair and pair.interval) or (None, None)
            rows.append({"train_size": size, "arch": network.arch, "width": network.width,
                         "parameters": network.parameters, "cases": network.cases,
                         **{f"dice_{key}": getattr(network.metrics["dice"], key) for key in ("mean", "sd", "median")},
                         "hd95_mm_mean": network.metrics["hd95_mm"].mean,
                         "asd_mm_mean": network.metrics["asd_mm"].mean,
                         "difference": pair and pair.difference, "interval_low": low, "interval_high": high,
                         "p_value": pair and pair.p_value, "p_holm": None, "p_equivalence": p_equivalence(pair)})
            pairs.append(pair)
    for row, corrected in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = corrected
    table = [[str(row["train_size"]), row["arch"], row["width"], str(row["cases"]),
              f"{number(row['dice_mean'], 'dice')} ± {number(row['dice_sd'], 'dice')}",
              number(row["dice_median"], "dice"), number(row["hd95_mm_mean"], "hd95_mm"),
              number(row["asd_mm_mean"], "asd_mm"),
              f"{number(pair.difference, 'dice', True)} {interval_text(pair.interval, 'dice')}" if pair else "",
              p_text(pair.p_value) if pair else "", p_text(row["p_holm"]) if pair else "",
              equivalence_text(pair) if pair else ""] for row, pair in zip(rows, pairs, strict=True)]
    header = ["Training cases", "Architecture", "Variant", "Test cases", "Dice, mean ± sd", "median", "HD95 (mm)",
              "ASD (mm)", "Dice difference [95 %]", "p", "p, Holm", "equivalent within 1 point"]
    last = inputs.splits.folds[-1]
    notes = [f"Each training set holds the smaller ones; all have the same {len(last.validation)} validation and "
             f"{len(last.test)} test cases, the same number of steps, and no augmentation (paper, Section III-E; it "
             "does not say how long it trained on each).",
             "p: two-sided Wilcoxon signed-rank of pocket against full on the same test cases; Holm over sizes. A p "
             "above 0.05 is not equivalence.",
             "One training a size: a difference between sizes includes the chance of a training's initial weights.",
             "The paper has this as a figure: not published as numbers."]
    return Outcome(rows, markdown_table(header, table, numeric=3), _figure(inputs, sizes),
                   "Dice of the test cases (mean over labels) by the number of training cases: boxes from the first to "
                   "the third quartile, whiskers from the 5th to the 95th percentile, line the median, diamond mean.",
                   notes, {"training_sizes": sorted(sizes.values()), "augmentation": False})


def _figure(inputs: Inputs, sizes: dict[int, int]) -> Figure:
    means = inputs.measured.groupby(["arch", "width", "case", "fold"], as_index=False)["dice"].mean()
    arches = list(dict.fromkeys(means["arch"]))
    present = sorted({sizes[fold] for fold in means["fold"]})
    with drawing.new_figure(2 + 1.1 * len(present), 3.1 * len(arches)) as figure:
        axes = figure.subplots(len(arches), 1, squeeze=False)[:, 0]
        for axis, arch in zip(axes, arches, strict=True):
            for place, size in enumerate(present):
                for side, width in ((-0.2, "full"), (0.2, "pocket")):
                    chosen = means[(means["arch"] == arch) & (means["width"] == width)
                                   & (means["fold"].map(sizes) == size)]
                    drawing.box(axis, place + side, chosen["dice"], width)
            axis.set_xticks(range(len(present)), present)
            axis.set_xlabel("training cases")
            axis.set_ylabel("Dice")
            axis.set_title(f"{drawn(inputs.plan.dataset)}, {arch}: same test cases, growing training set")
            axis.grid(axis="y")
        drawing.legend(axes[0], list(WIDTHS), loc="lower right", fontsize=8)
    return figure
