"""Report content that is specific to a classification: its tables, ROC curves and pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..contracts.comparison import Comparison
from ..contracts.overlays import Overlay
from ..contracts.predictions import PROBABILITY
from ..evaluation.classification import layout, metrics
from ..evaluation.layout import equivalence_text, p_text, pair_of
from ..tracking.records import Evaluation
from . import copies, figures, gallery

if TYPE_CHECKING:
    import pandas as pd

SCORE = ("validation_auc", "validation AUC")
COLUMN = "class"
WHAT = "classes"
SECTIONS = "classification.html.jinja"
MOST_CASE_ROWS = 3000
MOST_PICTURES = 4  # per network


def sections(comparison: Comparison | None, rows: pd.DataFrame | None, evaluations: Sequence[Evaluation],
             networks: Sequence[tuple[str, str]], colours: dict[str, str]) -> dict[str, Any]:
    """Compute the template values that are specific to a classification."""
    return {
        "sections": SECTIONS, "titles": layout.TITLES, "how": layout.HOW,
        "how_paired": layout.HOW_PAIRED,
        "accuracy": _accuracy(comparison) if comparison else [],
        "differences": _differences(comparison) if comparison else [],
        "texts": copies.tables(comparison, layout),
        "curves_of_classes": [(name, figures.roc_curves(rows, networks, name, colours))
                              for name in metrics.positives(rows)] if rows is not None else [],
        "overlays": _pictures(evaluations), "cases": _cases(rows) if rows is not None else None,
        "gallery": gallery.gallery(_scores(rows), evaluations, networks) if rows is not None else None,
        "gallery_says": "Probability of the true class, and the predicted class where it is another.",
    }


def _scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the probability of the true class of each case and network, as `gallery.COLUMNS`."""
    found = rows[["case", "fold", "arch", "width"]].copy()
    found["score"] = [row[PROBABILITY + row["class"]] for _, row in rows.iterrows()]
    found["text"] = [f"{score:.3f}" + (f", taken for {said}" if said != true else "")
                     for score, said, true in zip(found["score"], rows["predicted"], rows["class"], strict=True)]
    return found


def warnings(rows: pd.DataFrame) -> list[str]:
    """Warn about networks that predict the same class for every case."""
    lines = []
    for (arch, width, fold), group in rows.groupby(["arch", "width", "fold"]):
        if group["predicted"].nunique() == 1 and group["class"].nunique() > 1:
            lines.append(f"{arch} {width}, fold {fold}: all cases were classified as {group['predicted'].iloc[0]!r}.")
    return lines


def _accuracy(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row per class and network, as in the paper's Table II."""
    rows = []
    for row in comparison.networks:
        cells = []
        for metric in metrics.CLASS_METRICS:
            found = row.metrics[metric]
            cells.append((found.mean, layout.number(found.mean), layout.interval_text(found.interval)))
        pair = pair_of(comparison, row, "auc")
        rows.append({"label": row.label, "network": f"{row.arch} {row.width}", "cases": row.cases,
                     "parameters": row.parameters, "cells": cells, "p": pair.p_value if pair else None,
                     "p_text": p_text(pair.p_value) if pair else ""})
    return rows


def _differences(comparison: Comparison) -> list[dict[str, Any]]:
    return [{"label": pair.label, "network": f"{pair.arch} {pair.width}",
             "metric": layout.TITLES[pair.metric], "n": pair.n, "difference": pair.difference,
             "difference_text": layout.number(pair.difference, True),
             "interval": layout.interval_text(pair.interval, True), "test": pair.test or "",
             "p": pair.p_value, "p_text": p_text(pair.p_value), "holm": pair.p_holm,
             "holm_text": p_text(pair.p_holm), "equivalence": equivalence_text(pair)}
            for pair in comparison.pairs]


def _pictures(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Return pictures of each network's misclassified cases with the highest confidence, as data URIs."""
    groups: dict[str, list[tuple[Overlay, Evaluation]]] = {}
    for one in evaluations:
        name = f"{one.rows['arch'].iloc[0]} {one.rows['width'].iloc[0]}"
        groups.setdefault(name, []).extend((entry, one) for entry in one.overlays if entry.probability is not None
                                           and (one.folder / entry.file).is_file())
    result = []
    for name, found in sorted(groups.items()):
        for entry, one in sorted(found, key=lambda item: (item[0].probability, item[0].case))[:MOST_PICTURES]:
            data = base64.b64encode((one.folder / entry.file).read_bytes()).decode("ascii")
            said = (f"{entry.class_name}, classified as {entry.predicted} "
                    f"(probability of the true class {entry.probability:.1%})")
            result.append({"network": name, "case": entry.case, "said": said,
                           "data": f"data:image/png;base64,{data}", "alt": f"{entry.case}: {said} by {name}"})
    return result


def _cases(rows: pd.DataFrame) -> dict[str, Any]:
    """Return one row per case, sorted by the probability of the true class, lowest first."""
    shown = [{"case": row["case"], "label": row["class"], "network": f"{row['arch']} {row['width']}",
              "fold": row["fold"], "predicted": row["predicted"], "probability": row[PROBABILITY + row["class"]]}
             for _, row in rows.iterrows()]
    shown.sort(key=lambda row: (row["probability"], row["case"]))
    return {"rows": shown[:MOST_CASE_ROWS], "left_out": max(0, len(shown) - MOST_CASE_ROWS)}
