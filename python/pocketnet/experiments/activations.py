"""Figure 4: sorted mean activations of the last layer's feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..contracts.activations import Activations
from ..evaluation.layout import markdown_table
from ..evaluation.verdict import arch_name
from . import drawing
from .inputs import Inputs
from .outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACTIVE_SHARE = 0.1
"""A feature map is active if its mean is at least this share of the network's largest mean."""


def sorted_means(measured: Sequence[Activations]) -> np.ndarray:
    """Return channel means in descending order, one row per fold (the order of the maps has no meaning)."""
    return np.array([sorted(entry.means, reverse=True) for entry in measured])


def tabulate(inputs: Inputs) -> Outcome:
    """Draw one row per rank with the mean activation of full and pocket, averaged over folds by rank."""
    inputs.need(measured=inputs.activations)
    groups: dict[tuple[str, str], list[Activations]] = {}
    for entry in sorted(inputs.activations, key=lambda entry: (entry.arch, entry.width, entry.fold)):
        groups.setdefault((entry.arch, entry.width), []).append(entry)
    means = {key: sorted_means(entries) for key, entries in groups.items()}
    names = {key: f"{arch_name(key[0])} {key[1]}" for key in groups}
    longest = max(values.shape[1] for values in means.values())
    rows = [{"rank": rank + 1} | {names[key]: float(values[:, rank].mean()) if rank < values.shape[1] else None
                                  for key, values in means.items()} for rank in range(longest)]
    summary = [[names[key], f"{groups[key][0].parameters / 1e6:.3f}", str(values.shape[1]),
                f"{(values >= ACTIVE_SHARE * values[:, :1]).sum(axis=1).mean():.1f}", f"{values[:, 0].mean():.3f}",
                f"{values.mean():.3f}", str(sum(entry.patches for entry in groups[key])),
                str(sum(entry.cases for entry in groups[key]))] for key, values in means.items()]
    lines = markdown_table(["Network", "Parameters (M)", "Feature maps", "active", "largest mean", "mean of means",
                            "Patches", "Cases"], summary, numeric=1)
    lines += ["", *markdown_table(["Rank", *names.values()],
                                  [[str(row["rank"]), *("–" if row[name] is None else f"{row[name]:.4f}"
                                                        for name in names.values())] for row in rows], numeric=0)]
    folds = sorted({entry.fold for entry in inputs.activations})
    notes = ["For each feature map the mean over a patch's voxels, averaged over all patches of the fold's test cases "
             "(the windows of inference), of the activation that the head reads (paper, Section III-D).",
             f"Active: at least {ACTIVE_SHARE:.0%} of the network's largest mean. Sorted from largest to smallest, as "
             "in the paper; a map's place has no meaning, so over folds the averages are by rank.",
             "The paper has this as a figure: not published as numbers."]
    return Outcome(rows, lines, _figure(means, names), "Mean activation of each feature map of the last layer before "
                   f"voxel-wise classification, sorted, over the test patches of fold{'s' * (len(folds) > 1)} "
                   f"{', '.join(map(str, folds))}: bars are means over folds by rank, lines from the smallest to the "
                   "largest fold.", notes, {"folds": folds, "active_share": ACTIVE_SHARE})


def _figure(means: dict[tuple[str, str], np.ndarray], names: dict[tuple[str, str], str]) -> Figure:
    order = sorted(means, key=lambda key: (key[0], key[1] != "pocket", key[1]))  # pocket on top, as in the paper
    with drawing.new_figure(6.4, 2.1 * len(order)) as figure:
        axes = figure.subplots(len(order), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
        for axis, key in zip(axes, order, strict=True):
            values = means[key]
            for rank in range(values.shape[1]):
                drawing.bar(axis, rank + 1, float(values[:, rank].mean()), key[1], width=0.8)
                if len(values) > 1:
                    axis.vlines(rank + 1, values[:, rank].min(), values[:, rank].max(), color="black", linewidth=0.9)
            axis.set_title(names[key])
            axis.set_ylabel("mean activation")
            axis.grid(axis="y")
        axes[-1].set_xlabel("feature map, sorted")
    return figure
