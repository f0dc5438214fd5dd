"""Decide which windows a network takes, and whether predictions of mirrored images are averaged, on validation cases.

Patches that overlap less, and larger windows, need fewer voxels than patches that overlap by half. They are taken if
the mean validation Dice falls by less than `MOST_LOSS`, and by less than `MOST_DOUBT` at the upper 95 % confidence
limit. This matters most with instance normalisation, whose statistics depend on the window, and for small images, whose
voxels many patches cover. Averaging over mirrored images takes 2 to 8 times as long; it must raise the Dice by `WORTH`,
and by more than 0 at the lower limit. The number of cases is bounded, so that the network computes at most `SHARE` of
the training's voxels for each question, or `LEAST_CASES` cases if that is more. With fewer cases, nothing is decided.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..contracts.decisions import (
    MOST_DOUBT,
    MOST_LOSS,
    OF_PATCH_SIZE,
    WINDOW_CHOICES,
    WORTH,
    Measured,
    MirroringDecision,
    WindowChoice,
    WindowDecision,
)
from ..contracts.labels import Label
from ..contracts.plan import AUTO, Plan
from ..errors import DataError
from ..preprocessing.label_maps import mask
from ..preprocessing.store import Store
from ..text import counted
from .stored import StorePredictor
from .windows import Tiling

CHEAPER = 0.9
"""Maximum cost of windows that are tried, relative to the plan's."""
SHARE = 0.05
"""Maximum voxels of a question, relative to the voxels of the training's forward and backward passes."""
LEAST_CASES = 4
PASSES = 3
"""A training step costs as much as this many forward passes."""


@dataclass(frozen=True)
class Way:
    """A way to use a network: its windows, and whether predictions of mirrored images are averaged."""

    windows: WindowChoice = "plan"
    mirrored: bool = False


@dataclass(frozen=True)
class Case:
    """A validation case: its store, and the labels that are annotated in it."""

    store: Store
    labels: Sequence[Label]


class Trials:
    """Predictions of validation cases, each computed once and kept compressed.

    Args:
        predictor: The network.
        cases: The cases.
    """

    def __init__(self, predictor: StorePredictor, cases: Sequence[Case]):
        self.predictor, self.cases = predictor, cases
        self._kept: dict[tuple[int, Tiling, bool], Any] = {}
        self._laid: dict[WindowChoice, list[Tiling]] = {}

    @property
    def choices(self) -> Sequence[WindowChoice]:
        """The windows that the engine takes."""
        return WINDOW_CHOICES if self.predictor.engine_name == "openvino" else OF_PATCH_SIZE

    def tilings(self, choice: WindowChoice) -> list[Tiling]:
        """Return the windows of each case."""
        if choice not in self._laid:
            self._laid[choice] = [self.predictor.tiling(case.store, choice) for case in self.cases]
        return self._laid[choice]

    def costs(self, way: Way) -> list[int]:
        """Return the voxels that the network computes, per case."""
        passes = self.predictor.mirrored_passes if way.mirrored else 1
        return [passes * len(tiling) * math.prod(tiling.window) for tiling in self.tilings(way.windows)]

    def classes(self, number: int, way: Way) -> np.ndarray:
        """Return the classes of a case, (x, y, z) uint8. Two ways with the same windows are predicted once."""
        import blosc2

        tiling = self.tilings(way.windows)[number]
        key = number, tiling, way.mirrored
        if key not in self._kept:
            self._kept[key] = blosc2.asarray(self.predictor(self.cases[number].store, tiling, way.mirrored))
        return cast(np.ndarray, self._kept[key][:])

    def of_store(self, store: Store, way: Way) -> np.ndarray:
        """Return `classes` of the case with this store."""
        return self.classes(next(n for n, case in enumerate(self.cases) if case.store is store), way)

    def predicted(self, store: Store, tiling: Tiling, way: Way) -> np.ndarray:
        """Return the classes of a store, (x, y, z) uint8; a case that was predicted is not predicted again."""
        for number, case in enumerate(self.cases):
            if case.store is store and (number, tiling, way.mirrored) in self._kept:
                return self.classes(number, way)
        return self.predictor(store, tiling, way.mirrored)

    def dice(self, way: Way, number: int) -> np.ndarray:
        """Return the Dice of the first `number` cases, (cases, labels); NaN for labels that are not annotated.

        Cases with the same window follow each other, because the network is compiled for each window.
        """
        rows: dict[int, dict[str, float]] = {}
        tilings = self.tilings(way.windows)
        for n in sorted(range(number), key=lambda n: tilings[n].window):
            case = self.cases[n]
            reference = case.store.read_label((0,) * len(case.store.shape), case.store.shape)
            found = self.classes(n, way)
            rows[n] = {label.name: dice(mask(found, label), mask(reference, label)) for label in case.labels}
        names = [label.name for label in self.predictor.plan.labels]
        return np.array([[rows[n].get(name, np.nan) for name in names] for n in range(number)])


def dice(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Return the Dice of two masks; 1 if both are empty."""
    total = int(predicted.sum()) + int(reference.sum())
    return 2 * int((predicted & reference).sum()) / total if total else 1.0


def decide_windows(trials: Trials) -> WindowDecision | None:
    """Decide on the windows.

    Returns:
        The decision; None with too few cases.
    """
    if len(trials.cases) < LEAST_CASES:
        return None
    mirrored = trials.predictor.plan.inference.mirrored is True
    ways = {choice: Way(choice, mirrored) for choice in trials.choices}
    plan, total = ways["plan"], sum(trials.costs(ways["plan"]))
    cost = {choice: sum(trials.costs(way)) / total for choice, way in ways.items()}
    cheaper = sorted((choice for choice in ways if cost[choice] <= CHEAPER), key=lambda choice: cost[choice])
    if not cheaper:
        return WindowDecision("plan", "Other windows save less than a tenth of the computation.", 0, tuple(
            Measured(choice, None, None, None, round(cost[choice], 3)) for choice in ways))
    both = [a + b for a, b in zip(trials.costs(plan), trials.costs(ways[cheaper[0]]), strict=True)]
    number = _affordable(both, trials.predictor.plan)
    before = trials.dice(plan, number)
    tried = [_measured("plan", before, before, 1.0)]
    chosen: WindowChoice = "plan"
    of_cases = counted(number, "validation case")
    reason = (f"Other windows lower the mean Dice of {of_cases} by {MOST_LOSS:g} or more, or by {MOST_DOUBT:g} or more "
              "at the 95 % limit.")
    for choice in cheaper:
        try:
            after = trials.dice(ways[choice], number)
        except DataError as error:  # the graph has fixed sizes
            reason = f"The network takes no other windows: {error.what}"
            break
        tried.append(_measured(choice, after, before, cost[choice]))
        change, limit = _change(after, before)
        if change > -MOST_LOSS and limit > -MOST_DOUBT:
            chosen = choice
            reason = (f"They change the mean Dice of {of_cases} by {change:+.4f}, at the 95 % limit by {limit:+.4f}; "
                      f"the network computes {cost[choice]:.2g} times as many voxels.")
            break
    return WindowDecision(chosen, reason, number, tuple(tried))


def decide_mirroring(trials: Trials, windows: WindowChoice) -> MirroringDecision | None:
    """Decide whether predictions of mirrored images are averaged.

    Args:
        trials: The cases.
        windows: The windows that were chosen.

    Returns:
        The decision; None with too few cases, if training does not mirror, or if the plan does not leave it to the
        data.
    """
    plan = trials.predictor.plan
    if len(trials.cases) < LEAST_CASES or plan.inference.mirrored != AUTO or not plan.training.augmentation.mirrors:
        return None
    without, with_ = Way(windows), Way(windows, mirrored=True)
    number = _affordable(trials.costs(with_), plan)
    before, after = trials.dice(without, number), trials.dice(with_, number)
    gain, limit = _change(after, before)
    chosen, passes = gain >= WORTH and limit > 0, trials.predictor.mirrored_passes
    base = sum(trials.costs(Way()))
    reason = (f"Averaging {passes} mirrored predictions changes the mean Dice of {counted(number, 'validation case')} "
              f"by {gain:+.4f}, at the 95 % limit by {limit:+.4f}; it takes {passes} times as long, which a gain of "
              f"{WORTH:g} is worth.")
    return MirroringDecision(chosen, reason, number, (
        _measured(windows, before, before, sum(trials.costs(without)) / base),
        _measured("mirrored", after, before, sum(trials.costs(with_)) / base)))


def mean(rows: np.ndarray) -> float:
    """Return the mean Dice over labels of (cases, labels); labels that no case has are left out."""
    known = rows[:, ~np.isnan(rows).all(axis=0)]
    return float(np.nanmean(known, axis=0).mean())


def _affordable(costs: Sequence[int], plan: Plan) -> int:
    """Return how many of the first cases a question may use, by the voxels of each."""
    training = plan.training
    most = SHARE * PASSES * training.steps * training.batch * math.prod(training.patch)
    return max(min(LEAST_CASES, len(costs)), sum(total <= most for total in itertools.accumulate(costs)))


def _measured(way: str, rows: np.ndarray, before: np.ndarray, cost: float) -> Measured:
    worst = float(np.nanmean(rows - before, axis=1).min())
    return Measured(way, round(mean(rows), 4), round(worst, 4), round(_change(rows, before)[1], 4), round(cost, 3))


def _change(after: np.ndarray, before: np.ndarray) -> tuple[float, float]:
    """Return the mean difference of the cases' mean Dice, and its lower one-sided 95 % limit (Student's t)."""
    from scipy.special import stdtrit

    each = np.nanmean(after - before, axis=1)
    error = each.std(ddof=1) / math.sqrt(each.size)
    return float(each.mean()), float(each.mean() - stdtrit(each.size - 1, 0.95) * error)
