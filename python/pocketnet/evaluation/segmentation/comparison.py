"""Compare the networks of a segmentation for `comparison.json`, per label and for the mean over labels.

A case's label `mean` is the mean over its labels with a defined value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...contracts.comparison import MEAN, Equivalence, MetricSummary, NetworkRow, Pair
from ...contracts.groups import alone
from ...errors import DataError
from ..headline import Headline
from ..lesions import LESION_COLUMNS
from ..metrics import METRICS
from ..statistics import EQUIVALENCE_MARGIN, compare_paired, equivalence, summarise

if TYPE_CHECKING:
    import pandas as pd

HEADLINE = Headline("dice", "Dice", "Mean Dice difference", "Wilcoxon", per_class=False, untrained=0.0,
                    skill="finds the labels")


def labels(rows: pd.DataFrame) -> list[str]:
    """Return the labels in order."""
    return list(dict.fromkeys(rows["label"]))


def with_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Add one row with the label `mean` per case and network."""
    import pandas as pd

    keys = ["dataset", "case", "fold", "arch", "width", "recipe", "seed", "parameters", "code", "group"]
    keys = [key for key in keys if key in rows]
    means = rows.groupby(keys, sort=False, as_index=False, dropna=False)[list(_measured(rows))].mean()
    return pd.concat([rows, means.assign(label=MEAN)], ignore_index=True)


def networks(arch: str, width: str, labels: Sequence[str], rows: pd.DataFrame) -> list[NetworkRow]:
    """Return the rows of `networks` of one network: one per label, and one for their mean.

    Raises:
        DataError: The tables have no row of the network for some label.
    """
    if missing := set(labels) - set(rows["label"]):
        raise DataError(f"The tables have no rows of {arch} {width} for {', '.join(sorted(missing))}.",
                        todo="Create its table again with pocket-evaluate.")
    return [_network(arch, width, label, rows[rows["label"] == label]) for label in [*labels, MEAN]]


def _network(arch: str, width: str, label: str, group: pd.DataFrame) -> NetworkRow:
    clusters = _clusters(group)
    metrics = {metric: MetricSummary(**asdict(summarise(group[metric].astype(float), clusters)))
               for metric in _measured(group)}
    return NetworkRow(arch, width, int(group["parameters"].iloc[0]), tuple(sorted({int(f) for f in group["fold"]})),
                      len(group), label, metrics)


def pairs(arch: str, width: str, name: str, reference: pd.DataFrame, other: pd.DataFrame) -> list[Pair]:
    """Compute the paired difference of every metric for each label; see `comparison.pairs_between`."""
    result = []
    for label in dict.fromkeys(other["label"]):
        paired = reference[reference["label"] == label].merge(
            other[other["label"] == label], on=["case", "fold"], suffixes=("_reference", "_other"))
        clusters = _clusters(paired.rename(columns={"group_other": "group"}))
        for metric in METRICS:
            sides = paired[f"{metric}_reference"], paired[f"{metric}_other"]
            same = None
            if metric == "dice":
                p_value = equivalence(*sides, clusters=clusters)
                same = Equivalence(EQUIVALENCE_MARGIN, p_value, p_value is not None and p_value < 0.05)
            result.append(Pair(arch, width, name, label, metric, **asdict(compare_paired(*sides, clusters=clusters)),
                               equivalence=same))
    return result


def _measured(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns to summarise; tables of earlier versions have no lesion-wise metrics."""
    return (*METRICS, *(name for name in LESION_COLUMNS if name in rows and rows[name].notna().any()))


def _clusters(rows: pd.DataFrame) -> list[str] | None:
    """Return what each case belongs to; None if every case stands alone."""
    if "group" not in rows or rows["group"].isna().all():
        return None
    found = [alone(case) if group != group or group is None else group
             for case, group in zip(rows["case"], rows["group"], strict=True)]
    return found if len(set(found)) < len(found) else None


def notes(networks: Sequence[NetworkRow]) -> list[str]:
    """Return a note for each network and label with cases in which neither mask has the label."""
    return [f"{row.arch} {row.width}, {row.label}: {row.metrics['dice'].undefined} of {row.cases} "
            "cases have the label neither in the reference nor in the prediction and are left out of the means."
            for row in networks if row.label != MEAN and row.metrics["dice"].undefined]


def cautions(metrics: Sequence[Path]) -> list[str]:
    """Return no cautions: an evaluation of a segmentation has none."""
    return []


def headline_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return those rows of `with_means` that the verdict is on: the means over labels."""
    return rows[rows["label"] == MEAN]


def is_headline(pair: Pair) -> bool:
    """Return whether the verdict is on this pair: Dice averaged over labels."""
    return pair.label == MEAN and pair.metric == HEADLINE.metric
