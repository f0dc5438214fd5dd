"""Measure a calibration on cases that it left out: each fold's statements are made by the other folds' calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...contracts.calibration import Calibration, Flags, HeldOut
from . import apply, fit

POINTS = 20
"""Points of the risk–coverage curve."""


@dataclass(frozen=True)
class Held:
    """A case with the statement of a calibration that left it out."""

    case: fit.Case
    said: apply.Statement


def statements(known: Calibration, cases: Sequence[fit.Case]) -> Iterator[Held]:
    """Yield each case with the statement of the calibration of the other parts (`fit.parts`).

    Args:
        known: The calibration of all cases, whose settings are used.
        cases: The calibration cases.
    """
    names = [one.label for one in known.labels]
    for rest, part in fit.parts(cases):
        if not rest:
            continue
        image, labels = fit.fit(rest, names, known.coverage)
        partial = replace(known, image=image, labels=tuple(labels))
        for case in part:
            volumes = {name: case.labels[name].predicted_ml if name in case.labels else 0.0 for name in names}
            yield Held(case, apply.statement(partial, case.features, volumes))


def measured(known: Calibration, held: Sequence[Held]) -> Calibration:
    """Return the calibration with what the statements on held-out cases show."""
    labels = tuple(replace(one, held_out=_of_label(one.label, held)) for one in known.labels)
    if not any(one.held_out for one in labels):
        return known
    flags = Counter(one.said.flag for one in held)
    return replace(known, labels=labels, flags=Flags(flags["accept"], flags["look"], flags["reject"]))


def _of_label(name: str, held: Sequence[Held]) -> HeldOut | None:
    pairs = [(one.case.labels[name], one.said.labels[name]) for one in held if one.case.found(name)]
    bounded = [(truth, said) for truth, said in pairs if said.dice_low is not None and said.volume_ml is not None]
    if not bounded:
        return None
    true = np.array([truth.dice for truth, _ in bounded])
    expected = np.array([said.expected_dice for _, said in bounded], float)
    low = np.array([said.dice_low for _, said in bounded], float)
    inside = [said.volume_ml[0] <= truth.reference_ml <= said.volume_ml[1] for truth, said in bounded
              if said.volume_ml]
    varies = min(true.std(), expected.std()) > 1e-9
    return HeldOut(len(bounded), _rounded(np.mean(true >= low)), _rounded(np.mean(inside)),
                   _rounded(np.mean(true - low)), _rounded(np.corrcoef(true, expected)[0, 1]) if varies else None,
                   _rounded(np.sqrt(np.mean((true - expected) ** 2))), tuple(risk(low, true)))


def risk(trusted: np.ndarray, dice: np.ndarray) -> list[tuple[float, float]]:
    """Return the risk–coverage curve: share of cases kept, and their mean 1 − Dice.

    Args:
        trusted: By case; the highest are kept longest.
        dice: By case.

    Source: Geifman and El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017.
    """
    order = np.argsort(-trusted, kind="stable")
    losses = np.cumsum(1 - dice[order]) / np.arange(1, dice.size + 1)
    kept = sorted({max(1, round(dice.size * share / POINTS)) for share in range(1, POINTS + 1)})
    return [(_rounded(number / dice.size), _rounded(losses[number - 1])) for number in kept]


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 4)
