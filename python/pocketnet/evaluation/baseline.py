"""Compare the networks of a run with the same networks of a baseline run (another recipe, more steps, other code)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contracts.baseline import Baseline
from ..errors import UsageError
from .comparison import check, correct, networks_of, pairs_between, unpaired
from .table import STEPS

if TYPE_CHECKING:
    import pandas as pd

NAME = "baseline"


def against(rows: pd.DataFrame, baseline: pd.DataFrame) -> tuple[Baseline, list[str]]:
    """Pair each network with the same network of a baseline, by case and fold.

    Args:
        rows: Rows of this run, as for `comparison.compare`.
        baseline: Rows of the baseline run.

    Returns:
        The content of `baseline.json`, and notes. Differences are this − baseline.

    Raises:
        UsageError: The runs have different datasets or tasks, or no network and case in common, or the baseline's rows
            are not comparable with each other.
    """
    check(baseline, allow_mixed_code=True)
    if rows["dataset"].iloc[0] != baseline["dataset"].iloc[0] or (set(rows.columns) != set(baseline.columns)):
        raise UsageError(f"The baseline is of {baseline['dataset'].iloc[0]}, the metrics of {rows['dataset'].iloc[0]}, "
                         "or of other classes: their cases cannot be paired.", where=baseline["file"].iloc[0],
                         todo="Give a baseline of the same dataset.")
    ours, theirs = networks_of(rows), networks_of(baseline)
    pairs, notes = [], []
    for (arch, width), group in ours.items():
        reference = theirs.get((arch, width))
        if reference is None:
            notes.append(f"{arch} {width}: the baseline has no such network.")
            continue
        pairs += pairs_between(arch, width, NAME, reference, group)
        notes += unpaired(arch, (width, group), (f"the baseline's {width}", reference))
    if not any(pair.n for pair in pairs):
        raise UsageError("The baseline has no network and case in common with the metrics.",
                         where=baseline["file"].iloc[0], todo="Give a baseline of the same networks, folds and split.")
    return Baseline(baseline["dataset"].iloc[0], baseline["recipe"].iloc[0], tuple(sorted(set(baseline["code"]))),
                    tuple(sorted({int(steps) for steps in baseline[STEPS].dropna()})), tuple(correct(pairs))), notes
