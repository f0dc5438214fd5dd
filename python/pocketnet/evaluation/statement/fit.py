"""Fit a calibration to cases that were predicted by networks that had not seen them.

Cross-conformal prediction: the expected Dice of each case is computed without its fold, and the residuals of all cases
together give the margin of the lower bound. Sources: Vovk, Cross-conformal predictors, Annals of Mathematics and
Artificial Intelligence 74, 2015; Barber et al., Predictive inference with the jackknife+, Annals of Statistics 49, 2021
(Section 3, CV+). The final coefficients are those of all cases, so the coverage is approximate; `held_out` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...contracts.calibration import ExpectedDice, LabelCalibration, Novelty, Standard, needed
from ...contracts.features import CaseFeatures, Features
from . import apply

BETTER = {"soft_dice": 1, "confidence": 1, "entropy": -1, "disagreement": -1, "largest": 1, "components": -1,
          "surface": -1, "border": -1, "volume": 1}
"""Features of the expected Dice, and whether more of them is better: no weight has the other sign."""
RIDGE = 10.0
"""Penalty of the weights: as if so many cases had said that they are 0."""
UNUSUAL = 0.03
"""Share of sound cases that may be flagged as unlike the others, over the image and all labels."""
PARTS = 5
"""Parts of the cases of a single fold."""
FLOORS = {"spacing": 0.1, "extent": 0.1, "components": 0.5, "largest": 0.05, "border": 0.05, "offset": 1.0}
"""Minimum scale by the first part of a feature's name: a smaller deviation is not unusual."""
LEAST_SCALE = 0.01
LEAST_SHRINKAGE = 0.1
"""Minimum share of the identity in the covariance of z."""


@dataclass(frozen=True)
class Truth:
    """What the evaluation says of a label in a case.

    Attributes:
        dice: NaN if neither prediction nor reference has the label.
        reference_ml, predicted_ml: Volumes in mL.
    """

    dice: float
    reference_ml: float
    predicted_ml: float


@dataclass(frozen=True)
class Case:
    """A calibration case.

    Attributes:
        case: Its name.
        fold: The fold whose network predicted it.
        group: What it belongs to with others; the case itself otherwise.
        features: Features of the prediction.
        labels: By name, for the labels that were annotated.
    """

    case: str
    fold: int
    group: str
    features: CaseFeatures
    labels: Mapping[str, Truth]

    def found(self, label: str) -> bool:
        """Return whether the label is annotated and the network found it, after the postprocessing too."""
        return label in self.labels and self.labels[label].predicted_ml > 0 and label in self.features.labels


def parts(cases: Sequence[Case]) -> Iterator[tuple[list[Case], list[Case]]]:
    """Yield the cases without a part, and the part: the folds, or `PARTS` parts of the groups of a single fold."""
    keys = [case.fold for case in cases]
    if len(set(keys)) == 1:
        groups = {group: number % PARTS for number, group in enumerate(sorted({case.group for case in cases}))}
        keys = [groups[case.group] for case in cases]
    for key in sorted(set(keys)):
        yield ([case for case, own in zip(cases, keys, strict=True) if own != key],
               [case for case, own in zip(cases, keys, strict=True) if own == key])


def fit(cases: Sequence[Case], labels: Sequence[str], coverage: float) -> tuple[Novelty, list[LabelCalibration]]:
    """Fit the novelty of the images and the calibration of each label.

    Args:
        cases: The calibration cases.
        labels: Names of the labels.
        coverage: Stated coverage.
    """
    allowed = UNUSUAL / (1 + len(labels))
    split = list(parts(cases))
    image = _novelty([case.features.image for case in cases],
                     [([case.features.image for case in rest], [case.features.image for case in part])
                      for rest, part in split], allowed)
    return image, [_label(name, cases, split, coverage, allowed) for name in labels]


def quantile(values: Sequence[float], coverage: float) -> float | None:
    """Return the value that a new one stays below with this coverage; None if there are too few.

    This is the ⌈(n + 1) · coverage⌉-th smallest, the quantile of split conformal prediction.
    """
    rank = math.ceil((len(values) + 1) * coverage - 1e-9)
    return sorted(values)[rank - 1] if rank <= len(values) else None


def _novelty(features: Sequence[Features], split: Sequence[tuple[Sequence[Features], Sequence[Features]]],
             allowed: float) -> Novelty:
    """Fit the novelty; its limit is the quantile of the distances of cases from the novelty of the other parts."""
    found = [apply.distance(own, one) for rest, part in split if rest for own in [_gaussian(rest)] for one in part]
    known = _gaussian(features)
    limit = quantile(found, 1 - allowed) or max(found, default=0.0)
    return replace(known, limit=limit or 1.0)


def _gaussian(features: Sequence[Features]) -> Novelty:
    """Return mean, scale and shrunk precision of features; the limit is not known yet."""
    from sklearn.covariance import LedoitWolf

    standard = _standard(features, [name for name in features[0] if all(name in one for one in features)])
    z = np.array([apply.standardised(standard, one) for one in features])
    covariance = LedoitWolf(assume_centered=True).fit(z).covariance_ if len(z) > 1 else np.eye(z.shape[1])
    # A feature that never varies in the calibration still may vary by its scale, and two that vary together may not.
    covariance = (1 - LEAST_SHRINKAGE) * covariance + LEAST_SHRINKAGE * np.eye(z.shape[1])
    precision = np.linalg.inv(covariance + np.diag(np.maximum(0.0, 1 - np.diag(covariance))))
    return Novelty(standard, tuple(map(tuple, precision.tolist())), 1.0)


def _standard(features: Sequence[Features], names: Sequence[str]) -> Standard:
    values = np.array([[one[name] for name in names] for one in features])
    floors = [FLOORS.get(name.split("_")[0], LEAST_SCALE) for name in names]
    return Standard(tuple(names), tuple(values.mean(axis=0).tolist()),
                    tuple(np.maximum(values.std(axis=0), floors).tolist()))


def _label(name: str, cases: Sequence[Case], split: Sequence[tuple[list[Case], list[Case]]], coverage: float,
           allowed: float) -> LabelCalibration:
    there = [case for case in cases if case.found(name)]
    absent = [case for case in cases if name in case.labels and not case.found(name)]
    rightly = sum(not case.labels[name].reference_ml for case in absent)
    known = LabelCalibration(name, len(there), None, None, None, len(absent), rightly, None)
    if not there:
        return known
    split = [([case for case in rest if case.found(name)], [case for case in part if case.found(name)])
             for rest, part in split]
    novelty = _novelty([case.features.labels[name] for case in there],
                       [([case.features.labels[name] for case in rest], [case.features.labels[name] for case in part])
                        for rest, part in split], allowed)
    dice = _expected(name, there)
    enough = len({case.group for case in there}) >= needed(coverage)
    residuals = [_linear(own, case.features.labels[name]) - case.labels[name].dice
                 for rest, part in split if rest for own in [_expected(name, rest)] for case in part]
    ratios = [math.log(truth.reference_ml / truth.predicted_ml) if truth.reference_ml else -math.inf
              for truth in (case.labels[name] for case in there)]
    margin = quantile(residuals, coverage) if enough else None
    top = quantile(ratios, (1 + coverage) / 2) if enough else None
    bottom = quantile([-ratio for ratio in ratios], (1 + coverage) / 2) if enough else None
    volume = None if top is None or bottom is None else (None if math.isinf(bottom) else -bottom, max(top, -700.0))
    return replace(known, novelty=novelty, dice=replace(dice, margin=margin), volume=volume)


def _expected(name: str, cases: Sequence[Case]) -> ExpectedDice:
    """Fit the expected Dice by ridge regression with signs (`BETTER`); the margin is not known yet."""
    from scipy.optimize import nnls

    features = [case.features.labels[name] for case in cases]
    names = [one for one in BETTER if all(one in own for own in features)]
    standard = _standard(features, names)
    signs = np.array([BETTER[one] for one in names])
    z = np.array([apply.standardised(standard, one) for one in features]) * signs
    dice = np.array([case.labels[name].dice for case in cases])
    mean = float(dice.mean())
    weights, _ = nnls(np.vstack([z, math.sqrt(RIDGE) * np.eye(len(names))]),
                      np.concatenate([dice - mean, np.zeros(len(names))]))
    return ExpectedDice(standard, tuple((weights * signs).tolist()), mean, None)


def _linear(dice: ExpectedDice, features: Features) -> float:
    value = dice.intercept + float(apply.standardised(dice.standard, features) @ np.array(dice.weights))
    return min(1.0, max(0.0, value))
