"""Compare the networks of a classification for `comparison.json`: full against every other width, paired by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contracts.comparison import Equivalence, MetricSummary, NetworkRow, Pair
from . import roc
from .classification import CLASS_METRICS, areas, correct, positives, proportion, values
from .statistics import EQUIVALENCE_MARGIN

if TYPE_CHECKING:
    import pandas as pd

TESTS = {"auc": "DeLong", "accuracy": "McNemar"}


def network(arch: str, width: str, label: str, rows: pd.DataFrame) -> NetworkRow:
    """Return one row of `networks`: a network's metrics for one class."""
    found = values(rows, label)
    metrics = {name: MetricSummary(one.value, None, None, one.n, 0, one.interval)
               for name, one in ((name, getattr(found, name)) for name in CLASS_METRICS)}
    return NetworkRow(arch, width, int(rows["parameters"].iloc[0]), tuple(sorted({int(fold) for fold in rows["fold"]})),
                      len(rows), label, metrics)


def pairs(arch: str, width: str, reference_width: str, reference: pd.DataFrame, other: pd.DataFrame) -> list[Pair]:
    """Compute the paired difference of every metric for each reported class."""
    keys = ["fold", "case"]
    shared = reference[keys].merge(other[keys])
    sides = [rows.merge(shared).sort_values(keys, ignore_index=True) for rows in (reference, other)]
    if shared.empty:
        return []
    out = []
    for label in positives(reference):
        found = roc.difference(areas(sides, label), EQUIVALENCE_MARGIN)
        same = Equivalence(EQUIVALENCE_MARGIN, found.p_equivalence,
                           found.p_equivalence is not None and found.p_equivalence < 0.05)
        out.append(Pair(arch, width, reference_width, label, "auc", len(shared), found.value, found.interval or None,
                        found.p_value, undefined=0, equivalence=same, test=TESTS["auc"]))
        for metric in CLASS_METRICS[1:]:
            (hits, trials), (other_hits, _) = (proportion(rows, label, metric) for rows in sides)
            p_value = roc.mcnemar(*(correct(rows, label) for rows in sides)) if metric == "accuracy" else None
            out.append(Pair(arch, width, reference_width, label, metric, trials,
                            (other_hits - hits) / trials if trials else None, None, p_value, undefined=0,
                            test=TESTS.get(metric)))
    return out
