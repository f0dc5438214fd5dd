"""Table I: accuracy of all segmentation networks, full against pocket."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..contracts.comparison import MEAN, Comparison, NetworkRow
from ..evaluation.comparison import label_order
from ..evaluation.layout import (
    equivalence_text,
    interval_text,
    markdown_table,
    number,
    p_equivalence,
    p_text,
    pair_of,
)
from ..evaluation.metrics import PAPER_METRICS
from ..evaluation.segmentation.layout import TITLES
from ..evaluation.verdict import arch_name
from . import drawing
from .inputs import Inputs
from .outcome import Outcome, published, published_order

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NOT_EQUIVALENCE = ("p is of the two-sided Wilcoxon signed-rank test, paired by case. p > 0.05 says that no difference "
                   "was found, not that there is none: that is what the equivalence test is for (two one-sided t-tests "
                   "against a margin of one Dice point, 0.01).")
OVER_VOXELS = ("hd95_voxels_mm", "asd_voxels_mm")
PUBLISHED_TASKS = {"lits": "LiTS", "brats": "BraTS", "nfbs": "NFBS"}


def tabulate(inputs: Inputs) -> Outcome:
    """Draw one row per label, network and width, with the mean over labels last, followed by the paper's rows."""
    inputs.need(comparison=inputs.comparison, evaluations=inputs.rows)
    comparison = inputs.compared
    arches = published_order(list(dict.fromkeys(row.arch for row in comparison.networks)))
    networks = sorted(comparison.networks, key=lambda row: (label_order(comparison).index(row.label),
                                                             arches.index(row.arch)))
    rows = [_row(comparison, network) | _over_voxels(inputs.rows, network) for network in networks]
    table = [_cells(comparison, network) for network in networks]
    for task, found in published()["table_1"].items():
        for arch in arches:
            for width in ("full", "pocket"):
                if arch in found:
                    rows.append(_published_row(task, arch, width, found[arch]))
                    table.append(_published_cells(task, arch, width, found[arch]))
    header = ["Task", "Architecture", "Variant", "Parameters (M)"]
    for metric in PAPER_METRICS:
        header += [f"{TITLES[metric]}, mean ± sd", "median", "p", "p, Holm"]
    header += ["Dice difference [95 %]", "equivalent within 1 point"]
    own = PUBLISHED_TASKS.get(comparison.dataset)
    notes = [NOT_EQUIVALENCE, "Holm's correction is over the rows of a metric: over labels and networks, and over the "
             "networks' means by themselves. The paper's p-values are uncorrected.",
             "Rows marked \"published\" are the paper's Table I" + (
                 f"; its task for this dataset is {own}." if own else ": it has no values for this dataset.")]
    return Outcome(rows, [*markdown_table(header, table, numeric=3), *_voxel_table(rows)], _figure(inputs, arches),
                   "Dice, HD95 and ASD by case (mean over labels) for each architecture: box from the first to the "
                   "third quartile, whiskers from the 5th to the 95th percentile, line the median, diamond the mean. "
                   "The paper has no figure for its Table I.", [*notes, *comparison.notes],
                   {"architectures": arches})


def _row(comparison: Comparison, network: NetworkRow) -> dict[str, Any]:
    row = {"source": "ours", "task": comparison.dataset, "label": network.label, "arch": network.arch,
           "width": network.width, "parameters_m": network.parameters / 1e6, "cases": network.cases}
    for metric in PAPER_METRICS:
        values, pair = network.metrics[metric], pair_of(comparison, network, metric)
        low, high = (pair and pair.interval) or (None, None)
        row |= {f"{metric}_mean": values.mean, f"{metric}_sd": values.sd, f"{metric}_median": values.median,
                **{f"{metric}_{key}": pair and getattr(pair, key) for key in ("p_value", "p_holm", "difference")},
                f"{metric}_interval_low": low, f"{metric}_interval_high": high}
        if metric == "dice":
            row["dice_p_equivalence"] = p_equivalence(pair)
    return row


def _over_voxels(metrics: pd.DataFrame, network: NetworkRow) -> dict[str, Any]:
    """Return mean and median of the distances over mask voxels instead of surfaces, for one row of `networks`."""
    mine = metrics[(metrics["arch"] == network.arch) & (metrics["width"] == network.width)]
    if network.label == MEAN:
        mine = mine.groupby(["case", "fold"])[list(OVER_VOXELS)].mean()
    else:
        mine = mine[mine["label"] == network.label]
    values = {f"{name}_{how}": float(getattr(mine[name], how)()) for name in OVER_VOXELS for how in ("mean", "median")}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _voxel_table(rows: list[dict[str, Any]]) -> list[str]:
    """Return a table of our distances over mask voxels, the definition that some of the paper's values suggest."""
    found = [row for row in rows if row["source"] == "ours" and row["hd95_voxels_mm_mean"] is not None]
    if not found:
        return []
    header = ["Task", "Architecture", "Variant", "HD95 over voxels (mm), mean", "median", "ASD over voxels (mm), mean",
              "median"]
    cells = [[f"{row['task']}, {row['label']}", arch_name(row["arch"]), row["width"],
              *(f"{row[f'{name}_{how}']:.3f}" for name in OVER_VOXELS for how in ("mean", "median"))] for row in found]
    return ["", "Distances between all voxels of the masks instead of their surfaces, to which the paper's HD95 of "
            "0.000 beside an ASD of 0.4 mm (NFBS) points:", "", *markdown_table(header, cells, numeric=3)]


def _published_row(task: str, arch: str, width: str, found: dict[str, Any]) -> dict[str, Any]:
    row = {"source": "published", "task": task, "label": None, "arch": arch, "width": width,
           "parameters_m": found[width]["parameters_m"]}
    for metric in PAPER_METRICS:
        row |= {f"{metric}_{name}": value for name, value in found[width][metric].items()}
        row[f"{metric}_p_value"] = found["p_value"][metric] if width == "pocket" else None
    return row


def _cells(comparison: Comparison, network: NetworkRow) -> list[str]:
    cells = [f"{comparison.dataset}, {network.label}", arch_name(network.arch), network.width,
             f"{network.parameters / 1e6:.3f}"]
    for metric in PAPER_METRICS:
        values, pair = network.metrics[metric], pair_of(comparison, network, metric)
        cells += [f"{number(values.mean, metric)} ± {number(values.sd, metric)}",
                  number(values.median, metric), p_text(pair.p_value) if pair else "",
                  p_text(pair.p_holm) if pair else ""]
    pair = pair_of(comparison, network, "dice")
    if not pair:
        return [*cells, "", ""]
    return [*cells, f"{number(pair.difference, 'dice', True)} {interval_text(pair.interval, 'dice')}",
            equivalence_text(pair)]


def _published_cells(task: str, arch: str, width: str, found: dict[str, Any]) -> list[str]:
    cells = [f"{task} (published)", arch_name(arch), width, f"{found[width]['parameters_m']:g}"]
    for metric in PAPER_METRICS:
        values = found[width][metric]
        cells += [f"{values['mean']:.3f} ± {values['sd']:.3f}", f"{values['median']:.3f}",
                  f"{found['p_value'][metric]:.1e}" if width == "pocket" else "", ""]
    return [*cells, "", ""]


def _figure(inputs: Inputs, arches: list[str]) -> Figure:
    means = inputs.measured.groupby(["arch", "width", "case", "fold"], as_index=False)[list(PAPER_METRICS)].mean()
    with drawing.new_figure(max(6.0, 2.2 * len(arches) + 2), 3.2) as figure:
        axes = figure.subplots(1, 3)
        for axis, metric in zip(axes, PAPER_METRICS, strict=True):
            for place, arch in enumerate(arches):
                for side, width in ((-0.2, "full"), (0.2, "pocket")):
                    mine = means[(means["arch"] == arch) & (means["width"] == width)]
                    drawing.box(axis, place + side, mine[metric], width)
            axis.set_xticks(range(len(arches)), [arch_name(arch) for arch in arches])
            axis.set_title(TITLES[metric])
            axis.grid(axis="y")
            if metric != "dice":
                axis.set_ylim(bottom=0)
        drawing.legend(figure, ["full", "pocket"], loc="outside lower center", ncols=2, fontsize=8)
    return figure
