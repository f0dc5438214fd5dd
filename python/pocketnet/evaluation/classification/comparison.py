"""Compare the networks of a classification for `comparison.json`: full against every other width, paired by case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...contracts.classification import Classification
from ...contracts.comparison import Equivalence, MetricSummary, NetworkRow, Pair
from .. import roc
from ..headline import Headline
from ..statistics import EQUIVALENCE_MARGIN
from .metrics import CLASS_METRICS, areas, correct, positives, proportion, values

if TYPE_CHECKING:
    import pandas as pd

HEADLINE = Headline("auc", "AUC", "AUC difference", "DeLong's", per_class=True, untrained=0.5,
                    skill="tells the classes apart")
TESTS = {"auc": "DeLong", "accuracy": "McNemar"}


labels = positives


def with_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as they are: a case has one row, whatever the number of classes."""
    return rows


def networks(arch: str, width: str, labels: Sequence[str], rows: pd.DataFrame) -> list[NetworkRow]:
    """Return the rows of `networks` of one network: one per reported class."""
    return [_network(arch, width, label, rows) for label in labels]


def _network(arch: str, width: str, label: str, rows: pd.DataFrame) -> NetworkRow:
    found = values(rows, label)
    metrics = {name: MetricSummary(one.value, None, None, one.n, 0, one.interval)
               for name, one in ((name, getattr(found, name)) for name in CLASS_METRICS)}
    return NetworkRow(arch, width, int(rows["parameters"].iloc[0]), tuple(sorted({int(fold) for fold in rows["fold"]})),
                      len(rows), label, metrics)


def pairs(arch: str, width: str, name: str, reference: pd.DataFrame, other: pd.DataFrame) -> list[Pair]:
    """Compute the paired difference of every metric for each reported class; see `comparison.pairs_between`."""
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
        out.append(Pair(arch, width, name, label, "auc", len(shared), found.value, found.interval or None,
                        found.p_value, undefined=0, equivalence=same, test=TESTS["auc"]))
        for metric in CLASS_METRICS[1:]:
            (hits, trials), (other_hits, _) = (proportion(rows, label, metric) for rows in sides)
            p_value = roc.mcnemar(*(correct(rows, label) for rows in sides)) if metric == "accuracy" else None
            out.append(Pair(arch, width, name, label, metric, trials,
                            (other_hits - hits) / trials if trials else None, None, p_value, undefined=0,
                            test=TESTS.get(metric)))
    return out


def notes(networks: Sequence[NetworkRow]) -> list[str]:
    """Return no notes: every metric has a value for every case."""
    return []


def cautions(metrics: Sequence[Path]) -> list[str]:
    """Collect the cautions of the evaluations in the folders of these `metrics.csv` files, without duplicates."""
    beside = [Path(path).with_name("classification.json") for path in metrics]
    found = [Classification.read(path).caution for path in beside if path.is_file()]
    return list(dict.fromkeys(filter(None, found)))


def headline_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return those rows of `with_means` that the verdict is on: all."""
    return rows


def is_headline(pair: Pair) -> bool:
    """Return whether the verdict is on this pair: the AUC."""
    return pair.metric == HEADLINE.metric
