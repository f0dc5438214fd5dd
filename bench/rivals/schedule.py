"""How many epochs and steps a tool can afford: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Epochs:
    """A tool's rule for its epochs.

    Attributes:
        steps: Steps of an epoch: the tool's own number, or the number asked for.
        fewest: Fewest epochs, so that a schedule that changes the learning rate once an epoch comes to its end in small
            steps; epochs are then shorter.
        shortest: Fewest steps that the tool accepts in an epoch.
    """

    steps: int
    fewest: int = 1
    shortest: int = 1


@dataclass(frozen=True)
class Schedule:
    """A whole training: its learning rate ends at the last step."""

    epochs: int
    steps_per_epoch: int

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True)
class Cost:
    """Processor seconds of a training: `fixed + per_step × steps`."""

    fixed: float
    per_step: float

    def seconds(self, steps: int) -> float:
        """Predict the processor seconds of a training."""
        return self.fixed + self.per_step * steps


def cost(measured: Sequence[tuple[int, float]]) -> Cost:
    """Fit the cost to trainings of different lengths.

    Args:
        measured: Steps and processor seconds of each.

    Raises:
        ValueError: Fewer than two lengths, or a longer training did not cost more.
    """
    if len({steps for steps, _ in measured}) < 2:
        raise ValueError(f"Expected trainings of two lengths. Received: {list(measured)}")
    steps, seconds = np.array(measured, dtype=float).T
    per_step, fixed = np.polyfit(steps, seconds, 1)
    if fixed < 0:
        fixed, per_step = 0.0, float((seconds * steps).sum() / (steps**2).sum())
    if per_step <= 0:
        raise ValueError(f"Expected longer trainings to cost more. Received: {list(measured)}")
    return Cost(float(fixed), float(per_step))


def fitting(budget_seconds: float, price: Cost, epochs: Epochs) -> Schedule | None:
    """Return the longest schedule that the budget pays for; None if it does not pay for the shortest one.

    Args:
        budget_seconds: Processor seconds.
        price: Cost of the tool's trainings.
        epochs: The tool's epochs.
    """
    affordable = int((budget_seconds - price.fixed) / price.per_step)
    if affordable < epochs.shortest:
        return None
    count = max(epochs.fewest, round(affordable / epochs.steps), 1)
    count = min(count, affordable // epochs.shortest)
    return Schedule(count, affordable // count)
