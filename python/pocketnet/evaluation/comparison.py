"""Compare the networks of one dataset for `comparison.json`: the full network against every other width.

Pairs match by case and fold, so that both networks of a pair have the same training cases. What is compared depends on
the task (`tasks.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..contracts.comparison import MEAN, Comparison, NetworkRow, Pair, Verdict
from ..contracts.configuration import ConfigurationChoice
from ..errors import UsageError
from ..models.widths import policy_of
from .configurations import NOT_CHOSEN, mark, reference_of, words
from .statistics import holm
from .table import STEPS, task_of
from .tasks import TASKS
from .verdict import headline_pairs, verdict

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = "full"


def compare(rows: pd.DataFrame, *, allow_mixed_code: bool = False, choices: Sequence[ConfigurationChoice] = ()
            ) -> Comparison:
    """Build a comparison from the rows of every `metrics.csv`.

    Args:
        rows: The columns of `metrics.csv`, and `file`, the source of each row.
        allow_mixed_code: Whether to accept networks trained by different code; a note is added.
        choices: The configuration that each network is used in, if it was trained in two; the other one is in no pair.

    Returns:
        The content of `comparison.json`.

    Raises:
        UsageError: There are rows of several datasets, recipes or (unless allowed) code versions, duplicate rows for a
            case and label of one network, or one network with several parameter counts or numbers of training steps.
    """
    notes = [*map(words, choices), *check(rows, allow_mixed_code)]
    task = task_of(rows)
    compared = TASKS[task].comparison
    labels = compared.labels(rows)
    groups = networks_of(rows)
    networks: list[NetworkRow] = []
    pairs: list[Pair] = []
    for (arch, width), group in sorted(groups.items(), key=_order):
        networks += compared.networks(arch, width, labels, group)
        if is_reference(width) or mark(choices, arch, width) == NOT_CHOSEN:
            continue
        name = reference_of(choices, arch, width, REFERENCE)
        reference = groups.get((arch, name))
        if reference is None:
            notes.append(f"{arch} {width}: there is no {name} network of this architecture to compare with.")
            continue
        notes += unpaired(arch, (width, group), (name, reference))
        pairs += pairs_between(arch, width, name, reference, group)
    pairs = correct(pairs)
    if not pairs and all(is_reference(width) for _, width in groups):
        notes.append("No pair of networks to compare: the table lists each network by itself.")
    notes += compared.notes(networks)
    found = Comparison(
        rows["dataset"].iloc[0], rows["recipe"].iloc[0], tuple(sorted(set(rows["code"]))), tuple(networks),
        tuple(pairs), task=task, labels=tuple(labels), notes=tuple(dict.fromkeys(notes)),
        configurations=tuple(choices) or None)
    return replace(found, verdicts=tuple(
        Verdict(pair.arch, pair.width, **verdict(pair, found)) for pair in headline_pairs(found)))


def _order(item: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the sort key: by architecture, reference first, then by decreasing number of parameters."""
    (arch, width), group = item
    return arch, not is_reference(width), -int(group["parameters"].iloc[0]), width


def is_reference(width: str) -> bool:
    """Return whether other networks are compared with this one: `full`, in any configuration."""
    return policy_of(width) == REFERENCE


def label_order(comparison: Comparison) -> list[str]:
    """Return the labels in the dataset's order, the mean last."""
    return [*(comparison.labels or dict.fromkeys(row.label for row in comparison.networks if row.label != MEAN)), MEAN]


def networks_of(rows: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Group the rows by (arch, width), with the rows that the task adds, such as those of the label `mean`."""
    rows = TASKS[task_of(rows)].comparison.with_means(rows)
    return dict(iter(rows.groupby(["arch", "width"], sort=False)))


def check(rows: pd.DataFrame, allow_mixed_code: bool) -> list[str]:
    """Check that the rows are comparable, and return notes on differences that are allowed.

    Args:
        rows: As for `compare`.
        allow_mixed_code: As for `compare`.

    Raises:
        UsageError: As for `compare`.
    """
    notes = []
    for column in ("dataset", "recipe"):
        if rows[column].nunique() > 1:
            raise UsageError(f"These metrics are of several {column}s, which cannot be compared.",
                             where=_groups(rows, column), todo=f"Give the files of one {column} only.")
    if rows["code"].nunique() > 1:
        if not allow_mixed_code:
            raise UsageError("These networks were trained with different code.", where=_groups(rows, "code"),
                             todo="Train them again with the same code, or accept the difference with "
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
    """Format each value of a column with the files that contain it."""
    return "; ".join(f"{value}: {', '.join(dict.fromkeys(group['file']))}"
                     for value, group in rows.groupby(column))


def pairs_between(arch: str, width: str, name: str, reference: pd.DataFrame, other: pd.DataFrame) -> list[Pair]:
    """Compute the `pairs` of a network with a reference.

    Args:
        arch: Architecture of the network.
        width: Width of the network.
        name: Name of the reference.
        reference: Rows of the reference, from `networks_of`.
        other: Rows of the network, from `networks_of`.
    """
    return TASKS[task_of(other)].comparison.pairs(arch, width, name, reference, other)


def correct(pairs: Sequence[Pair]) -> list[Pair]:
    """Apply Holm's correction to the pairs; each metric has one family for the labels and one for their mean."""
    out = list(pairs)
    for family in {(pair.metric, pair.label == MEAN) for pair in pairs}:
        places = [place for place, pair in enumerate(pairs) if (pair.metric, pair.label == MEAN) == family]
        for place, corrected in zip(places, holm([pairs[place].p_value for place in places]), strict=True):
            out[place] = replace(pairs[place], p_holm=corrected)
    return out


def unpaired(arch: str, one: tuple[str, pd.DataFrame], other: tuple[str, pd.DataFrame]) -> list[str]:
    """Return notes on cases of one network (name and rows) that the other network lacks."""
    notes = []
    for (name, here), (other_name, there) in ((one, other), (other, one)):
        keys = set(zip(here["case"], here["fold"], strict=True))
        lonely = keys - set(zip(there["case"], there["fold"], strict=True))
        folds = sorted({fold for _, fold in lonely} - set(there["fold"]))
        if lonely:
            notes.append(f"{arch}: {len(lonely)} of {len(keys)} cases of {name} have no counterpart in {other_name}"
                         + (f" (no fold {', '.join(map(str, folds))} there)" if folds else "") + ".")
    return notes
