"""Receiver operating characteristic (ROC): curve, area, DeLong's variance; and Wilson's interval of proportions.

A larger score means that the positive class is more likely. The area over several folds is the mean of their areas,
because each fold has its own network and scores of different networks are not comparable.

Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44, 837 (1988); computed by midranks as Sun and Xu, IEEE Signal
Processing Letters 21, 1389 (2014). LeDell, Petersen and van der Laan, Electronic Journal of Statistics 9, 1583 (2015),
for the mean over folds. Wilson, JASA 22, 209 (1927).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Areas:
    """Areas under the ROC curves of several networks on the same cases.

    Attributes:
        values: Area of each network.
        covariance: Covariance of the areas, (networks, networks); NaN if a class has only one case.
    """

    values: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Difference:
    """A paired difference of two areas.

    Attributes:
        value: Other − reference.
        interval: 95 % interval; None without a standard error.
        p_value: Two-sided p-value of DeLong's test; None without a standard error.
        p_equivalence: The larger p-value of two one-sided tests against the margin; None without a standard error.
    """

    value: float
    interval: tuple[float, float] | None
    p_value: float | None
    p_equivalence: float | None


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Compute the area under the ROC curve: the probability that a positive case scores higher than a negative one.

    Ties count one half.

    Args:
        scores: (cases,).
        positive: Boolean, (cases,).

    Returns:
        The area, 0 to 1; NaN if a score is NaN, for example after a diverged training.

    Raises:
        ValueError: All cases are of one class.
    """
    from sklearn.metrics import roc_auc_score

    _both_classes(positive)
    return float("nan") if np.isnan(scores).any() else float(roc_auc_score(positive, scores))


def areas(scores: np.ndarray, positive: np.ndarray) -> Areas:
    """Compute the areas of several networks and their covariance by DeLong.

    Args:
        scores: (networks, cases).
        positive: Boolean, (cases,).

    Raises:
        ValueError: All cases are of one class.
    """
    from scipy.stats import rankdata

    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    m, n = _both_classes(positive)
    above, below = scores[:, positive], scores[:, ~positive]
    together = rankdata(np.concatenate([above, below], axis=1), axis=1)
    of_positive = (together[:, :m] - rankdata(above, axis=1)) / n  # fraction of negatives below each positive
    of_negative = 1 - (together[:, m:] - rankdata(below, axis=1)) / m
    unknown = np.full((len(scores),) * 2, np.nan)
    spread = [np.atleast_2d(np.cov(part)) / size if size > 1 else unknown
              for part, size in ((of_positive, m), (of_negative, n))]
    return Areas(of_positive.mean(axis=1), spread[0] + spread[1])


def _both_classes(positive: np.ndarray) -> tuple[int, int]:
    """Return the number of positive and negative cases; raise ValueError if one is 0."""
    m = int(np.count_nonzero(positive))
    n = len(positive) - m
    if not m or not n:
        raise ValueError(f"Expected cases of both classes. Received: {m} positive and {n} negative")
    return m, n


def mean_areas(parts: Sequence[Areas]) -> Areas:
    """Average areas over test sets without common cases; covariances are summed and divided by the squared count."""
    return Areas(np.mean([part.values for part in parts], axis=0),
                 np.sum([part.covariance for part in parts], axis=0) / len(parts) ** 2)


def interval(found: Areas, index: int = 0) -> tuple[float, float] | None:
    """Return the 95 % interval of one area, clipped to 0…1; None if the standard error is unknown or 0."""
    error = _error(found.covariance[index, index])
    if not error:
        return None
    low, high = found.values[index] - _z() * error, found.values[index] + _z() * error
    return float(max(0, low)), float(min(1, high))


def difference(found: Areas, margin: float, reference: int = 0, other: int = 1) -> Difference:
    """Compare two areas on the same cases: DeLong's test, and two one-sided tests of equivalence within ±`margin`."""
    from scipy.stats import norm

    value = float(found.values[other] - found.values[reference])
    c = found.covariance
    error = _error(c[reference, reference] + c[other, other] - 2 * c[reference, other])
    if error is None:
        return Difference(value, None, None, None)
    if error == 0:
        return Difference(value, (value, value), 1.0 if value == 0 else 0.0, 0.0 if abs(value) < margin else 1.0)
    return Difference(value, (float(value - _z() * error), float(value + _z() * error)),
                      float(2 * norm.sf(abs(value) / error)),
                      float(max(norm.sf((value + margin) / error), norm.cdf((value - margin) / error))))


def _error(variance: float) -> float | None:
    """Return the standard error: 0 for a variance of 0 within rounding errors, None for an unknown variance."""
    if np.isnan(variance):
        return None
    return 0.0 if variance < 1e-15 else float(variance) ** 0.5


def _z() -> float:
    from scipy.stats import norm

    return float(norm.ppf(0.5 + LEVEL / 2))


def curve(scores: np.ndarray, positive: np.ndarray) -> list[tuple[float, float]]:
    """Return the corners of the ROC curve as (false positive rate, true positive rate), from (0, 0) to (1, 1)."""
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(positive, scores)
    return [(float(x), float(y)) for x, y in zip(false, true, strict=True)]


def mean_curve(curves: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Average curves vertically (mean true positive rate at each false positive rate); the area is the mean area."""
    if len(curves) == 1:
        return list(curves[0])
    places = np.unique(np.concatenate([[x for x, _ in points] for points in curves]))
    sides = []
    for side in ("left", "right"):  # a step has two values at one position: before and after it
        sides.append(np.mean([_heights(points, places, side) for points in curves], axis=0))
    return [(0.0, 0.0)] + [(float(x), float(y)) for x, *pair in zip(places, *sides, strict=True)
                           for y in dict.fromkeys(pair)] + [(1.0, 1.0)]


def _heights(points: Sequence[tuple[float, float]], places: np.ndarray, side: str) -> np.ndarray:
    """Return a curve's true positive rates at the given false positive rates, before or after each step."""
    x, y = np.array(points).T
    found = np.interp(places, x, y)
    for index, place in enumerate(places):
        here = y[x == place]
        if here.size:
            found[index] = here.min() if side == "left" else here.max()
    return found


def wilson(successes: int, trials: int) -> tuple[float, float] | None:
    """Return Wilson's 95 % interval of a proportion; None without trials."""
    from scipy.stats import binomtest

    if not trials:
        return None
    found = binomtest(successes, trials).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)


def mcnemar(reference: np.ndarray, other: np.ndarray) -> float:
    """Return the p-value of the exact two-sided McNemar test of two networks on the same cases; 1 if they never differ.

    Args:
        reference: Whether the reference network classifies each case correctly, boolean.
        other: The same for the other network.
    """
    from scipy.stats import binomtest

    gained = int((~reference & other).sum())
    lost = int((reference & ~other).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
