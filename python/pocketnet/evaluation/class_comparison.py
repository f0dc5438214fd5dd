"""`comparison.json` of a classification: the full network against every other width, paired by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import roc
from .classification import METRICS, areas, correct, positives, proportion, values
from .statistics import MARGIN

if TYPE_CHECKING:
    import pandas as pd

TESTS = {"auc": "DeLong", "accuracy": "McNemar"}


def network(arch: str, width: str, label: str, rows: pd.DataFrame) -> dict:
    """One row of `networks`: a class's metrics of a network."""
    metrics = {name: {"mean": found["value"], "sd": None, "median": None, "n": found["n"], "undefined": 0,
                      "interval": found["interval"]} for name, found in values(rows, label).items()}
    return {"arch": arch, "width": width, "parameters": int(rows["parameters"].iloc[0]),
            "folds": sorted({int(fold) for fold in rows["fold"]}), "cases": len(rows), "label": label,
            "metrics": metrics}


def pairs(arch: str, width: str, reference_width: str, reference: pd.DataFrame, other: pd.DataFrame) -> list[dict]:
    """Every metric's paired difference, for each class that numbers are given for."""
    keys = ["fold", "case"]
    shared = reference[keys].merge(other[keys])
    sides = [rows.merge(shared).sort_values(keys, ignore_index=True) for rows in (reference, other)]
    if shared.empty:
        return []
    out = []
    for label in positives(reference):
        both = areas(sides, label)
        found = roc.difference(both, MARGIN)
        common = {"arch": arch, "width": width, "reference": reference_width, "label": label, "n": len(shared),
                  "undefined": 0}
        out.append({**common, "metric": "auc", "test": TESTS["auc"], "difference": found.value,
                    "interval": list(found.interval) if found.interval else None, "p_value": found.p_value,
                    "equivalence": {"margin": MARGIN, "p_value": found.p_equivalence,
                                    "equivalent": found.p_equivalence is not None and found.p_equivalence < 0.05}})
        for metric in METRICS[1:]:
            (hits, trials), (other_hits, _) = (proportion(rows, label, metric) for rows in sides)
            p_value = roc.mcnemar(*(correct(rows, label) for rows in sides)) if metric == "accuracy" else None
            out.append({**common, "metric": metric, "n": trials,
                        "difference": (other_hits - hits) / trials if trials else None, "interval": None,
                        "p_value": p_value, **({"test": TESTS[metric]} if metric in TESTS else {})})
    return out
