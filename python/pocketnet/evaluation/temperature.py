"""Calibrate the probabilities of one label by a temperature and a bias, and measure how they agree with the truth.

The arithmetic needs, per case, only the number of voxels with each logit, and how many of them have the label. A label
stands against the rest, so that its temperature does not change the others. A loss that is made of Dice lets a network
find too much of a label, which no temperature repairs: hence the bias (Platt scaling). Source: Guo et al., On
calibration of modern neural networks, ICML 2017, Eq. 5 and sections 4.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..contracts.temperatures import Bin, LabelTemperature, Reliability
from .calibration import BINS

LIMIT = 12.0
"""Largest absolute logit that is told apart: a probability of 6e-6 from 0 or 1."""
WIDTH = 0.05
"""Width of a bin of logits."""
NUMBER = round(2 * LIMIT / WIDTH)
LOGITS = -LIMIT + WIDTH * (np.arange(NUMBER) + 0.5)
"""Middle of each bin, (NUMBER,)."""
HOTTEST = 10.0
"""Temperatures lie between 1 / HOTTEST and HOTTEST."""
MOST_BIAS = 10.0
"""Largest absolute bias."""
RULED_OUT = 0.5 / 255
"""Probability below which a probability map has 0 (`evaluation.calibration`)."""


@dataclass(frozen=True)
class Counts:
    """Voxels by the logit of a label.

    Attributes:
        voxels: (NUMBER,) float64.
        true: Those of them that have the label in the reference, (NUMBER,) float64.
    """

    voxels: np.ndarray
    true: np.ndarray

    @classmethod
    def of(cls, probability: np.ndarray, reference: np.ndarray) -> Counts:
        """Count the voxels of a case.

        Args:
            probability: Probabilities of the label, of any shape.
            reference: Boolean mask of the same shape.
        """
        at = ((np.clip(logit(probability), -LIMIT, LIMIT) + LIMIT) / WIDTH).astype(np.int64)
        at = np.minimum(at, NUMBER - 1)
        return cls(np.bincount(at.ravel(), minlength=NUMBER).astype(float),
                   np.bincount(at[reference], minlength=NUMBER).astype(float))

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.voxels + other.voxels, self.true + other.true)


NONE = Counts(np.zeros(NUMBER), np.zeros(NUMBER))


def logit(probability: np.ndarray) -> np.ndarray:
    """Return log(p / (1 − p)), float32; probabilities of 0 and 1 count as the smallest and the largest float32."""
    p = np.clip(probability, np.float32(1e-30), np.float32(1 - 2**-24)).astype(np.float32)
    return np.log(p) - np.log1p(-p)


@dataclass(frozen=True)
class Scaling:
    """The calibrated probability is σ(logit(p) / temperature + bias)."""

    temperature: float = 1.0
    bias: float = 0.0


PLAIN = Scaling()
"""Probabilities as the network has them."""


def calibrated(probability: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return calibrated probabilities, float32, of the same shape; 0 and 1 stay as they are."""
    p = probability.astype(np.float32)
    found = _sigmoid(logit(p) / np.float32(scaling.temperature) + np.float32(scaling.bias))
    return np.where((p <= 0) | (p >= 1), p, found)


def fit(counts: Counts) -> Scaling | None:
    """Return the scaling with the smallest mean cross-entropy; None if no voxel has the label, or all have it."""
    from scipy.optimize import minimize

    false, total = counts.voxels - counts.true, counts.voxels.sum()
    if not counts.true.sum() or not false.sum():
        return None

    def loss(found: np.ndarray) -> tuple[float, np.ndarray]:
        z = found[0] * LOGITS + found[1]
        wrong = counts.voxels * _sigmoid(z) - counts.true
        return (float((counts.true * np.logaddexp(0, -z) + false * np.logaddexp(0, z)).sum() / total),
                np.array([(wrong * LOGITS).sum(), wrong.sum()]) / total)

    slope, bias = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-10},
                           bounds=[(1 / HOTTEST, HOTTEST), (-MOST_BIAS, MOST_BIAS)]).x
    return Scaling(1 / float(slope), float(bias))


def binned(counts: Counts, scaling: Scaling = PLAIN) -> np.ndarray:
    """Return voxels, sum of calibrated probabilities and voxels with the label by bin of probability, (3, BINS).

    Voxels that the network rules out and that do not have the label are left out: the many voxels far from the label
    would hide every error.

    Args:
        counts: The voxels.
        scaling: How the probabilities are calibrated.
    """
    p = _sigmoid(LOGITS / scaling.temperature + scaling.bias)
    voxels = np.where(_sigmoid(LOGITS) < RULED_OUT, counts.true, counts.voxels)
    part = np.minimum((p * BINS).astype(int), BINS - 1)
    return np.stack([np.bincount(part, weights, BINS) for weights in (voxels, voxels * p, counts.true)])


def reliability(bins: np.ndarray) -> Reliability | None:
    """Return the reliability of `binned` voxels; None without voxels."""
    voxels, found, true = bins
    if not voxels.sum():
        return None
    return Reliability(_rounded(np.abs(found - true).sum() / voxels.sum()), tuple(
        Bin(_rounded(p / n), _rounded(t / n), round(n)) for n, p, t in zip(voxels, found, true, strict=True) if n))


def of_label(name: str, parts: Sequence[Sequence[Counts]]) -> LabelTemperature:
    """Return the temperature and bias of a label, and how they do on cases that they are not from.

    Args:
        name: Name of the label.
        parts: The cases in which the label is annotated, in parts: each part is measured with the scaling that the
            other parts give.
    """
    sums = [sum(part, NONE) for part in parts]
    whole = sum(sums, NONE)
    found = fit(whole)
    cases = sum(bool(one.true.any()) for part in parts for one in part)
    held = [(part, fit(sum((other for other in sums if other is not part), NONE))) for part in sums]
    if found is None:
        return LabelTemperature(name, None, None, cases, None, None)
    before, after = None, None
    if all(own for _, own in held):
        before = reliability(binned(whole))
        after = reliability(np.sum([binned(part, own) for part, own in held if own], axis=0))
    return LabelTemperature(name, _rounded(found.temperature), _rounded(found.bias), cases, before, after)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 4)
