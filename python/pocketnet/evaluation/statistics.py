"""Statistics of paired comparisons, in which two networks are measured on the same cases.

All functions take arrays in which NaN marks an undefined value. Cases of one patient are not independent: with
`clusters`, the bootstrap resamples patients with all their cases, and the tests use each patient's mean difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EQUIVALENCE_MARGIN = 0.01  # equivalence margin: one Dice point
RESAMPLES = 10_000
CHUNK = 5_000_000  # values resampled at a time: 80 MB
ROUNDING = 1e-12  # score differences closer than this count as equal


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation and median of the defined values; None if there are too few values.

    Attributes:
        interval: 95 % bootstrap confidence interval of the mean; None for fewer than two values or clusters.
        n: Number of defined values.
        undefined: Number of excluded NaN values.
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
        n: Number of pairs with two defined values.
        undefined: Number of excluded pairs.
        difference: Mean difference.
        interval: 95 % bootstrap confidence interval of the mean difference; None for fewer than two pairs.
        p_value: P-value of the two-sided Wilcoxon signed-rank test; 1 if no pair differs; None without pairs.
    """

    n: int
    undefined: int
    difference: float | None
    interval: tuple[float, float] | None
    p_value: float | None


def summarise(values: Sequence[float], clusters: Sequence[str] | None = None) -> Summary:
    """Summarise one column of values.

    Args:
        values: One per case.
        clusters: What each case belongs to; None: every case stands alone.
    """
    given = np.asarray(values, dtype=float)
    defined = given[~np.isnan(given)]
    n, belonging = len(defined), _of(clusters, ~np.isnan(given))
    return Summary(mean=float(defined.mean()) if n else None,
                   interval=bootstrap_interval(defined, clusters=belonging)
                   if _independent(defined, belonging) > 1 else None,
                   sd=float(defined.std(ddof=1)) if n > 1 else None,
                   median=float(np.median(defined)) if n else None,
                   n=n, undefined=len(values) - n)


def compare_paired(reference: Sequence[float], other: Sequence[float], seed: int = 0,
                   clusters: Sequence[str] | None = None) -> Paired:
    """Compute the mean paired difference with its interval and p-value.

    Args:
        reference: Values of the reference network, one per case.
        other: Values of the other network for the same cases in the same order.
        seed: Seed of the bootstrap.
        clusters: What each case belongs to; None: every case stands alone.

    Raises:
        ValueError: The lengths differ.
    """
    differences, belonging = _differences(reference, other, clusters)
    n = len(differences)
    return Paired(n=n, undefined=len(reference) - n,
                  difference=float(differences.mean()) if n else None,
                  interval=bootstrap_interval(differences, seed, clusters=belonging)
                  if _independent(differences, belonging) > 1 else None,
                  p_value=wilcoxon(_means(differences, belonging)) if n else None)


def bootstrap_interval(values: np.ndarray, seed: int = 0, level: float = 0.95, clusters: np.ndarray | None = None
                       ) -> tuple[float, float]:
    """Compute the percentile bootstrap confidence interval of the mean from 10,000 resamples.

    Args:
        values: At least two values.
        seed: Seed of the resampling.
        level: Confidence level.
        clusters: What each value belongs to, at least two names; whole clusters are resampled, and the mean is over
            their values. None: every value stands alone.
    """
    from scipy.stats import bootstrap

    if clusters is not None:
        return _clustered_interval(values, seed, level, clusters)

    batch = max(1, CHUNK // len(values))  # does not affect the random numbers
    found = bootstrap((values,), np.mean, n_resamples=RESAMPLES, batch=batch, confidence_level=level,
                      method="percentile", rng=np.random.default_rng(seed)).confidence_interval
    return float(found.low), float(found.high)


def _clustered_interval(values: np.ndarray, seed: int, level: float, clusters: np.ndarray) -> tuple[float, float]:
    """Compute `bootstrap_interval` from the sum and the number of values of each cluster."""
    from scipy.stats import bootstrap

    _, place = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(place, weights=values), np.bincount(place)
    found = bootstrap((sums, counts), lambda total, number, axis: total.sum(axis) / number.sum(axis),
                      n_resamples=RESAMPLES, batch=max(1, CHUNK // len(counts)), confidence_level=level, paired=True,
                      vectorized=True, method="percentile", rng=np.random.default_rng(seed)).confidence_interval
    return float(found.low), float(found.high)


def wilcoxon(differences: np.ndarray) -> float:
    """Return the two-sided p-value of the Wilcoxon signed-rank test without zero differences; 1 if all are zero.

    SciPy uses the exact distribution for small samples without ties, otherwise the normal approximation.
    """
    from scipy.stats import wilcoxon as test

    differences = differences[differences != 0]
    return float(test(differences).pvalue) if len(differences) else 1.0


def equivalence(reference: Sequence[float], other: Sequence[float], margin: float = EQUIVALENCE_MARGIN,
                clusters: Sequence[str] | None = None) -> float | None:
    """Test equivalence by two one-sided paired t-tests (TOST).

    A small p-value means that the mean difference is within ±`margin`. In contrast, a large Wilcoxon p-value only means
    that no difference was found; it does not show equivalence.

    Returns:
        The larger of the two one-sided p-values; None for fewer than two pairs.

    Raises:
        ValueError: The lengths differ.
    """
    from scipy.stats import ttest_1samp

    differences = _means(*_differences(reference, other, clusters))
    if len(differences) < 2:
        return None
    if np.ptp(differences) < ROUNDING:  # the t-test is undefined without spread
        return 0.0 if abs(float(differences.mean())) < margin else 1.0
    above = ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = ttest_1samp(differences, margin, alternative="less").pvalue
    return float(max(above, below))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Apply Holm's correction for multiple testing; None stays None and does not count."""
    present = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(present):
        largest = max(largest, min(1.0, (len(present) - rank) * p))
        corrected[index] = largest
    return corrected


def _differences(reference: Sequence[float], other: Sequence[float], clusters: Sequence[str] | None
                 ) -> tuple[np.ndarray, np.ndarray | None]:
    """Return other − reference for the pairs with two defined values, and the clusters of these pairs."""
    before, after = np.asarray(reference, dtype=float), np.asarray(other, dtype=float)
    if before.shape != after.shape:
        raise ValueError(f"Expected as many values on both sides. Received: {len(before)} and {len(after)}")
    differences = after - before
    defined = ~np.isnan(differences)
    return differences[defined], _of(clusters, defined)


def _of(clusters: Sequence[str] | None, chosen: np.ndarray) -> np.ndarray | None:
    return None if clusters is None else np.asarray(clusters)[chosen]


def _independent(values: np.ndarray, clusters: np.ndarray | None) -> int:
    """Return the number of independent values."""
    return len(values) if clusters is None else len(np.unique(clusters))


def _means(values: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Return the mean of each cluster; the values themselves without clusters."""
    if clusters is None:
        return values
    _, place = np.unique(clusters, return_inverse=True)
    return np.bincount(place, weights=values) / np.bincount(place)
