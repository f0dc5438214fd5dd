"""Report content that is specific to a segmentation: its tables, box plots and pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..contracts.comparison import MEAN, Comparison, MetricSummary
from ..contracts.overlays import Overlay
from ..evaluation.configurations import mark
from ..evaluation.layout import equivalence_text, interval_text, number, p_text
from ..evaluation.metrics import METRICS
from ..evaluation.overlay import pick
from ..evaluation.segmentation import layout
from ..text import counted, some
from ..tracking.records import Evaluation
from . import copies, figures, gallery

if TYPE_CHECKING:
    import pandas as pd

SCORE = ("validation_dice", "validation Dice")
COLUMN = "label"
WHAT = "labels"
SECTIONS = "segmentation.html.jinja"
MOST_CASE_ROWS = 3000
RANKS = ("best", "median", "worst")


def sections(comparison: Comparison | None, rows: pd.DataFrame | None, evaluations: Sequence[Evaluation],
              networks: Sequence[tuple[str, str]], colours: dict[str, str]) -> dict[str, Any]:
    """Compute the template values that are specific to a segmentation."""
    labels = list(dict.fromkeys(rows["label"])) if rows is not None else []
    return {
        "sections": SECTIONS, "titles": layout.TITLES,
        "accuracy": _accuracy(comparison) if comparison else [],
        "differences": _differences(comparison) if comparison else [],
        "lesion_columns": list(layout.LESION_TITLES.values()), "lesions": _lesions(comparison) if comparison else [],
        "texts": copies.tables(comparison, layout),
        "few": figures.FEW, "most_lines": figures.MOST_LINES,
        "boxes": [(label, figures.box_plots(rows, networks, label, colours)) for label in labels],
        "many": rows is not None and rows.groupby(["arch", "width", "label"]).size().max() > figures.MOST_LINES,
        "overlays": _overlays(evaluations), "cases": _cases(rows),
        "gallery": gallery.gallery(_scores(rows), evaluations, networks) if rows is not None else None,
        "gallery_says": "Dice, the mean over labels. A picture shows the slice in which most voxels differ, with the "
                        "outlines of the reference (blue) and, where it is another, of the prediction (orange).",
    }


def _scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean Dice over labels of each case and network, as `gallery.COLUMNS`."""
    means = rows.groupby(["case", "fold", "arch", "width"], sort=False, as_index=False)["dice"].mean()
    return means.rename(columns={"dice": "score"}).assign(
        text=[number(None if np.isnan(value) else value, "dice") for value in means["dice"]])


def warnings(rows: pd.DataFrame) -> list[str]:
    """Warn about metrics that need attention, for example labels that a network missed entirely."""
    lines = []
    for (arch, width, label), group in rows[rows["dice"].isna()].groupby(["arch", "width", "label"]):
        lines.append(f"{arch} {width}: {label} has no Dice in {_cases_of(group)}; means exclude these values.")
    lost = rows[rows["dice"] == 0]
    for (arch, width, label), group in lost.groupby(["arch", "width", "label"]):
        lines.append(f"{arch} {width}: {label} has Dice 0 in {_cases_of(group)}")
    return lines


def _cases_of(group: pd.DataFrame) -> str:
    """Return the number of cases and the first names."""
    return f"{counted(len(group), 'case')}: {some(list(group['case']))}"


def _accuracy(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row per label and network, as in the paper's Table I."""
    order = comparison.networks
    labels = list(dict.fromkeys(row.label for row in order))
    if len(labels) == 2 and MEAN in labels:
        labels.remove(MEAN)
    result = []
    for label in labels:
        for row in (row for row in order if row.label == label):
            result.append({"label": label, "network": f"{row.arch} {row.width}", "cases": row.cases,
                           "parameters": row.parameters, "mark": mark(comparison.configurations, row.arch, row.width),
                           "cells": [_summary_cell(row.metrics[metric], metric) for metric in METRICS]})
    return result


def _summary_cell(values: MetricSummary, metric: str) -> dict[str, Any]:
    """Return mean and deviation of a metric, and in small type what the table of `layout` has in other columns."""
    (value, text), *others = layout.summary_cells(values, metric)
    names = layout.summary_columns(metric)[1:]
    return {"value": value, "text": text,
            "small": [said if said.startswith("[") else f"{name} {said}"
                      for name, (_, said) in reversed(list(zip(names, others, strict=True)))]}


def _lesions(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row per network and label with several lesions per case."""
    return [{"label": row.label, "network": f"{row.arch} {row.width}", "cells": layout.lesion_cells(row)}
            for row in layout.lesions_of(comparison)]


def _differences(comparison: Comparison) -> list[dict[str, Any]]:
    single = len({pair.label for pair in comparison.pairs}) == 2
    rows = []
    for pair in comparison.pairs:
        if single and pair.label == MEAN:
            continue
        metric = pair.metric
        rows.append({"label": pair.label, "network": f"{pair.arch} {pair.width}",
                     "metric": layout.TITLES[metric], "n": pair.n, "difference": pair.difference,
                     "difference_text": number(pair.difference, metric, True),
                     "interval": interval_text(pair.interval, metric),
                     "p": pair.p_value, "p_text": p_text(pair.p_value),
                     "holm": pair.p_holm, "holm_text": p_text(pair.p_holm),
                     "equivalence": equivalence_text(pair)})
    return rows


def _overlays(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Return pictures of each network's best, median and worst case over its folds, as data URIs.

    The best cases of all networks come first, so that the pictures of two networks appear side by side.
    """
    groups: dict[tuple[str, str], dict[str, tuple[Overlay, Path]]] = {}
    for one in evaluations:
        key = one.rows["arch"].iloc[0], one.rows["width"].iloc[0]
        for entry in one.overlays:
            if entry.dice is not None and (one.folder / entry.file).is_file():
                groups.setdefault(key, {})[entry.case] = (entry, one.folder / entry.file)
    result = []
    for (arch, width), drawn in sorted(groups.items()):
        for rank, case in pick({case: cast(float, entry.dice) for case, (entry, _) in drawn.items()}):
            entry, path = drawn[case]
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            result.append({"network": f"{arch} {width}", "rank": rank, "case": case, "dice": f"{entry.dice:.3f}",
                           "data": f"data:image/png;base64,{data}",
                           "alt": f"{case}, {rank} case of {arch} {width}, Dice {entry.dice:.3f}: three planes with "
                                  "the outlines of reference and prediction, and below them the voxels that differ"})
    return sorted(result, key=lambda picture: RANKS.index(picture["rank"]))


def _cases(rows: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return the metrics of each case, worst first; very long tables omit the best rows."""
    if rows is None:
        return None
    ordered = rows.sort_values(["dice", "case"], na_position="last")
    shown = [{"case": row.case, "label": row.label, "network": f"{row.arch} {row.width}", "fold": row.fold,
              "cells": [(None if np.isnan(value) else float(value),
                         number(None if np.isnan(value) else value, metric))
                        for metric in METRICS for value in [getattr(row, metric)]]}
             for row in ordered.head(MOST_CASE_ROWS).itertuples()]
    return {"rows": shown, "left_out": max(0, len(ordered) - MOST_CASE_ROWS)}
