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
ROUNDING = 1e-12  # differences of scores that are no further apart are equal


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
    given = np.asarray(values, dtype=float)
    defined = given[~np.isnan(given)]
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
    """Percentile bootstrap confidence interval of the mean, resampling the values (seeded, 10,000 resamples).

    Args:
        values: At least two.
        seed: Of the resampling.
        level: Of the interval.
    """
    from scipy.stats import bootstrap

    batch = max(1, CHUNK // len(values))  # the numbers drawn do not depend on it
    found = bootstrap((values,), np.mean, n_resamples=RESAMPLES, batch=batch, confidence_level=level,
                      method="percentile", rng=np.random.default_rng(seed)).confidence_interval
    return float(found.low), float(found.high)


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
    from scipy.stats import ttest_1samp

    differences = _differences(reference, other)
    if len(differences) < 2:
        return None
    if np.ptp(differences) < ROUNDING:  # no spread, so no t-distribution
        return 0.0 if abs(float(differences.mean())) < margin else 1.0
    above = ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = ttest_1samp(differences, margin, alternative="less").pvalue
    return float(max(above, below))


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
    before, after = np.asarray(reference, dtype=float), np.asarray(other, dtype=float)
    if before.shape != after.shape:
        raise ValueError(f"Expected as many values on both sides. Received: {len(before)} and {len(after)}")
    differences = after - before
    return differences[~np.isnan(differences)]
