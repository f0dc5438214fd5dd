"""Statistics of paired comparisons: each case is measured under two networks.

Every function takes plain arrays in which NaN stands for an undefined value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MARGIN = 0.01  # one Dice point, the difference below which two networks count as equivalent
RESAMPLES = 10_000
CHUNK = 5_000_000  # values resampled at a time: 80 MB


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation and median over the defined values; None where there are too few.

    Attributes:
        interval: 95 % bootstrap confidence interval of the mean over the values; None for fewer than two.
        n: Defined values.
        undefined: Values that were left out because they are NaN.
    """

    mean: float | None
    interval: tuple[float, float] | None
    sd: float | None
    median: float | None
    n: int
    undefined: int


@dataclass(frozen=True)
class Paired:
    """A paired difference, other − reference.

    Attributes:
        n: Pairs in which both values are defined.
        undefined: Pairs that were left out.
        difference: Mean difference.
        interval: 95 % bootstrap confidence interval of the mean difference over pairs; None for fewer than two.
        p_value: Two-sided Wilcoxon signed-rank test; 1 when no pair differs; None without a pair.
    """

    n: int
    undefined: int
    difference: float | None
    interval: tuple[float, float] | None
    p_value: float | None


def summarise(values: Sequence[float]) -> Summary:
    """Summary of one column of values."""
    values = np.asarray(values, dtype=float)
    defined = values[~np.isnan(values)]
    n = len(defined)
    return Summary(mean=float(defined.mean()) if n else None,
                   interval=bootstrap_interval(defined) if n > 1 else None,
                   sd=float(defined.std(ddof=1)) if n > 1 else None,
                   median=float(np.median(defined)) if n else None,
                   n=n, undefined=len(values) - n)


def compare_paired(reference: Sequence[float], other: Sequence[float], seed: int = 0) -> Paired:
    """Mean paired difference with its interval and p-value.

    Args:
        reference: Values of the reference network, a case each.
        other: Values of the other network for the same cases in the same order.
        seed: Of the bootstrap.

    Raises:
        ValueError: The lengths differ.
    """
    differences = _differences(reference, other)
    n = len(differences)
    return Paired(n=n, undefined=len(reference) - n,
                  difference=float(differences.mean()) if n else None,
                  interval=bootstrap_interval(differences, seed) if n > 1 else None,
                  p_value=wilcoxon(differences) if n else None)


def bootstrap_interval(values: np.ndarray, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap confidence interval of the mean, resampling the values (seeded, 10,000 resamples)."""
    generator = np.random.default_rng(seed)
    n = len(values)
    at_once = max(1, min(RESAMPLES, CHUNK // n))  # the numbers drawn do not depend on it
    means = np.concatenate([values[generator.integers(0, n, (min(at_once, RESAMPLES - done), n))].mean(axis=1)
                            for done in range(0, RESAMPLES, at_once)])
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def wilcoxon(differences: np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; zero differences are dropped, and 1 if all are zero.

    scipy takes the exact distribution for small samples without ties and the normal approximation else.
    """
    from scipy.stats import wilcoxon as test

    differences = differences[differences != 0]
    return float(test(differences).pvalue) if len(differences) else 1.0


def equivalence(reference: Sequence[float], other: Sequence[float], margin: float = MARGIN) -> float | None:
    """p of two one-sided paired t-tests: small means that the mean difference lies within ±`margin`.

    A large Wilcoxon p says that no difference was found, which is not equivalence; this test is.

    Returns:
        The larger of the two one-sided p-values, None for fewer than two pairs.

    Raises:
        ValueError: The lengths differ.
    """
    from scipy.stats import t

    differences = _differences(reference, other)
    n = len(differences)
    if n < 2:
        return None
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / n**0.5
    if error == 0:
        return 0.0 if abs(mean) < margin else 1.0
    return float(max(t.sf((mean + margin) / error, n - 1), t.cdf((mean - margin) / error, n - 1)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction for testing several hypotheses at once; None stays None and does not count."""
    present = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(present):
        largest = max(largest, min(1.0, (len(present) - rank) * p))
        corrected[index] = largest
    return corrected


def _differences(reference: Sequence[float], other: Sequence[float]) -> np.ndarray:
    """Other − reference for the pairs in which both are defined."""
    reference, other = np.asarray(reference, dtype=float), np.asarray(other, dtype=float)
    if reference.shape != other.shape:
        raise ValueError(f"Expected as many values on both sides. Received: {len(reference)} and {len(other)}")
    differences = other - reference
    return differences[~np.isnan(differences)]
