"""`comparison.json`: the networks of one dataset side by side, the full network against every other width.

Cases are paired by case and fold: both networks of a pair have seen the same training cases. A case's `mean`
is the mean over its labels that are defined. A classification's numbers are in `class_comparison.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..contracts.comparison import Comparison, Equivalence, MetricSummary, NetworkRow, Pair
from ..contracts.labels import CLASSIFICATION
from ..errors import UsageError
from . import class_comparison, classification
from .metrics import METRICS
from .statistics import MARGIN, compare_paired, equivalence, holm, summarise
from .table import STEPS, task_of

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = "full"
MEAN = "mean"


def compare(rows: pd.DataFrame, *, allow_mixed_code: bool = False) -> Comparison:
    """Build a comparison from the rows of every `metrics.csv`.

    Args:
        rows: The columns of `metrics.csv` and `file`, where each row is from.
        allow_mixed_code: Take rows of networks that were trained by different code, with a note.

    Returns:
        What `comparison.json` says.

    Raises:
        UsageError: Rows of several datasets, recipes or (unless allowed) codes, a case and label twice for one
            network, or one network with several parameter counts or numbers of training steps.
    """
    notes = check(rows, allow_mixed_code)
    task = task_of(rows)
    classified = task == CLASSIFICATION
    labels = classification.positives(rows) if classified else list(dict.fromkeys(rows["label"]))
    groups = networks_of(rows)
    networks, pairs = [], []
    for (arch, width), group in sorted(groups.items(), key=_order):
        for label in labels if classified else [*labels, MEAN]:
            networks.append(class_comparison.network(arch, width, label, group) if classified else
                            _network(arch, width, label, group[group["label"] == label]))
        reference = groups.get((arch, REFERENCE))
        if width == REFERENCE:
            continue
        if reference is None:
            notes.append(f"{arch} {width}: there is no {REFERENCE} network of this architecture to compare with.")
            continue
        notes += unpaired(arch, (width, group), (REFERENCE, reference))
        pairs += pairs_between(arch, width, REFERENCE, reference, group)
    pairs = correct(pairs)
    if not pairs and all(width == REFERENCE for _, width in groups):
        notes.append("No pair of networks to compare: the table lists each network by itself.")
    notes += [] if classified else _undefined(networks)
    return Comparison(
        rows["dataset"].iloc[0], rows["recipe"].iloc[0], tuple(sorted(set(rows["code"]))), tuple(networks),
        tuple(pairs), task=task, labels=tuple(labels), notes=tuple(dict.fromkeys(notes)))


def _order(item: tuple[Any, ...]) -> tuple[Any, ...]:
    """By architecture, the reference first, then from many parameters to few."""
    (arch, width), group = item
    return arch, width != REFERENCE, -int(group["parameters"].iloc[0]), width


def label_order(comparison: Comparison) -> list[str]:
    """The labels in the dataset's order, the mean last."""
    return [*(comparison.labels or dict.fromkeys(row.label for row in comparison.networks if row.label != MEAN)), MEAN]


def networks_of(rows: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """The rows of each (arch, width), of a segmentation with those of the label `mean`."""
    rows = rows if task_of(rows) == CLASSIFICATION else _with_mean(rows)
    return dict(iter(rows.groupby(["arch", "width"], sort=False)))


def check(rows: pd.DataFrame, allow_mixed_code: bool) -> list[str]:
    """Refuse rows that cannot be compared, as `compare` says; what is worth a note."""
    notes = []
    for column in ("dataset", "recipe"):
        if rows[column].nunique() > 1:
            raise UsageError(f"These metrics are of several {column}s, which cannot be compared.",
                             where=_groups(rows, column), todo=f"Give the files of one {column} only.")
    if rows["code"].nunique() > 1:
        if not allow_mixed_code:
            raise UsageError("These networks were trained by different code.", where=_groups(rows, "code"),
                             todo="Train them again with the same code, or compare them knowingly with "
                                  "--allow-mixed-code.")
        notes.append("The networks were trained by different code (--allow-mixed-code): "
                     + ", ".join(sorted(set(rows["code"]))) + ".")
    keys = [key for key in ("case", "fold", "arch", "width", "label") if key in rows]
    twice = rows[rows.duplicated(keys, keep=False)]
    if len(twice):
        first = twice.iloc[0]
        raise UsageError(f"The same case and label appears more than once for one network, {len(twice)} rows in all: "
                         f"{first['arch']} {first['width']} fold {first['fold']}, case {first['case']}"
                         + (f", label {first['label']}." if "label" in rows else "."),
                         where=", ".join(dict.fromkeys(twice["file"])), todo="Give each metrics.csv once.")
    for (arch, width), group in rows.groupby(["arch", "width"]):
        if group["parameters"].nunique() > 1:
            raise UsageError(f"{arch} {width} comes with different numbers of parameters: these are different "
                             "networks.", where=_groups(group, "parameters"), todo="Give the files of one of them.")
        if group[STEPS].nunique() > 1:
            raise UsageError(f"{arch} {width} was trained for different numbers of steps: its folds are not of one "
                             "cross-validation.", where=_groups(group, STEPS),
                             todo="Give the folds of one of them, or train the others again with its plan.")
    if rows[STEPS].nunique() > 1:
        notes.append("The networks were trained for different numbers of steps: " + ", ".join(
            f"{arch} {width} {group[STEPS].iloc[0]:,}" for (arch, width), group in
            rows.dropna(subset=[STEPS]).groupby(["arch", "width"])) + ".")
    if rows["seed"].nunique() > 1:
        notes.append("The networks were trained with different seeds: "
                     + ", ".join(map(str, sorted(set(rows["seed"])))) + ".")
    return notes


def _groups(rows: pd.DataFrame, column: str) -> str:
    """Each value of a column with the files that hold it."""
    return "; ".join(f"{value}: {', '.join(dict.fromkeys(group['file']))}"
                     for value, group in rows.groupby(column))


def _with_mean(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows and, a case and network, one more with label `mean`."""
    import pandas as pd

    keys = ["dataset", "case", "fold", "arch", "width", "recipe", "seed", "parameters", "code"]
    means = rows.groupby(keys, sort=False, as_index=False)[list(METRICS)].mean()
    return pd.concat([rows, means.assign(label=MEAN)], ignore_index=True)


def _network(arch: str, width: str, label: str, group: pd.DataFrame) -> NetworkRow:
    metrics = {metric: MetricSummary(**asdict(summarise(group[metric]))) for metric in METRICS}
    return NetworkRow(arch, width, int(group["parameters"].iloc[0]), tuple(sorted({int(f) for f in group["fold"]})),
                      len(group), label, metrics)


def pairs_between(arch: str, width: str, name: str, reference: pd.DataFrame, other: pd.DataFrame) -> list[Pair]:
    """The `pairs` of a network with a reference called `name`, of rows as `networks_of` gives them."""
    if task_of(other) == CLASSIFICATION:
        return class_comparison.pairs(arch, width, name, reference, other)
    result = []
    for label in dict.fromkeys(other["label"]):
        paired = reference[reference["label"] == label].merge(
            other[other["label"] == label], on=["case", "fold"], suffixes=("_reference", "_other"))
        for metric in METRICS:
            sides = paired[f"{metric}_reference"], paired[f"{metric}_other"]
            same = None
            if metric == "dice":
                p_value = equivalence(*sides)
                same = Equivalence(MARGIN, p_value, p_value is not None and p_value < 0.05)
            result.append(Pair(arch, width, name, label, metric, **asdict(compare_paired(*sides)), equivalence=same))
    return result


def correct(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with Holm's correction: one family a metric over the labels, another over the means of labels."""
    out = list(pairs)
    for family in {(pair.metric, pair.label == MEAN) for pair in pairs}:
        places = [place for place, pair in enumerate(pairs) if (pair.metric, pair.label == MEAN) == family]
        for place, corrected in zip(places, holm([pairs[place].p_value for place in places]), strict=True):
            out[place] = replace(pairs[place], p_holm=corrected)
    return out


def unpaired(arch: str, one: tuple[str, pd.DataFrame], other: tuple[str, pd.DataFrame]) -> list[str]:
    """What keeps cases of two networks, each a name and rows, from being paired."""
    notes = []
    for (name, here), (other_name, there) in ((one, other), (other, one)):
        keys = set(zip(here["case"], here["fold"], strict=True))
        lonely = keys - set(zip(there["case"], there["fold"], strict=True))
        folds = sorted({fold for _, fold in lonely} - set(there["fold"]))
        if lonely:
            notes.append(f"{arch}: {len(lonely)} of {len(keys)} cases of {name} have no counterpart in {other_name}"
                         + (f" (no fold {', '.join(map(str, folds))} there)" if folds else "") + ".")
    return notes


def _undefined(networks: Sequence[NetworkRow]) -> list[str]:
    """A note for each network and label with cases in which the label is in neither mask."""
    return [f"{row.arch} {row.width}, {row.label}: {row.metrics['dice'].undefined} of {row.cases} "
            "cases have the label neither in the reference nor in the prediction and are left out of the means."
            for row in networks if row.label != MEAN and row.metrics["dice"].undefined]
