"""Statistics against scipy's own functions and hand-computable cases."""

import numpy as np
import pytest
import scipy.stats
from pocketnet.evaluation import statistics
from pocketnet.evaluation.statistics import (
    bootstrap_interval,
    compare_paired,
    equivalence,
    holm,
    summarise,
    wilcoxon,
)

NAN = float("nan")


@pytest.mark.parametrize("values, mean, sd, median, n, undefined", [
    ([1, 2, 3, 6], 3, np.sqrt(14 / 3), 2.5, 4, 0),
    ([1, NAN, 3], 2, np.sqrt(2), 2, 2, 1),
    ([5], 5, None, 5, 1, 0),
    ([NAN, NAN], None, None, None, 0, 2),
    ([], None, None, None, 0, 0),
])
def test_summary(values, mean, sd, median, n, undefined):
    result = summarise(values)
    assert (result.mean, result.median, result.n, result.undefined) == (mean, median, n, undefined)
    assert result.sd == pytest.approx(sd) if sd is not None else result.sd is None
    defined = [value for value in values if value == value]
    assert result.interval == (bootstrap_interval(np.array(defined, float)) if n > 1 else None)


def test_wilcoxon_is_exact_for_few_pairs_and_one_without_differences():
    assert wilcoxon(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 2**5)
    assert wilcoxon(np.zeros(4)) == 1.0
    assert wilcoxon(np.array([0.0, 0.2])) == 1.0


def test_pairs_with_an_undefined_side_are_left_out():
    result = compare_paired([0.5, NAN, 0.7, 0.9], [0.6, 0.5, NAN, 0.8])
    assert (result.n, result.undefined, result.difference) == (2, 2, pytest.approx(0))


@pytest.mark.parametrize("values, n, interval, p_value", [([], 0, None, None), ([0.5], 1, None, 1.0)])
def test_too_few_pairs_give_no_interval(values, n, interval, p_value):
    result = compare_paired(values, [v + 0.1 for v in values])
    assert (result.n, result.interval, result.p_value) == (n, interval, p_value)


@pytest.mark.parametrize("level", [0.95, 0.9])
def test_bootstrap_interval_is_that_of_resampled_means(level):
    values = np.random.default_rng(1).gamma(2, 1, 60)
    interval = bootstrap_interval(values, seed=3, level=level)
    assert interval == bootstrap_interval(values, seed=3, level=level)
    assert interval != bootstrap_interval(values, seed=4, level=level)
    means = values[np.random.default_rng(3).integers(0, 60, (10_000, 60))].mean(axis=1)
    tail = 50 * (1 - level)
    assert interval == pytest.approx(np.percentile(means, [tail, 100 - tail]), abs=1e-12)
    assert bootstrap_interval(np.full(5, 0.25)) == (0.25, 0.25)


def test_bootstrap_interval_covers_the_true_mean():
    generator = np.random.default_rng(0)
    inside = 0
    for seed in range(100):
        low, high = bootstrap_interval(generator.normal(0.3, 1, 30), seed)
        inside += low <= 0.3 <= high
    assert 88 <= inside <= 99


def test_equivalence_is_two_one_sided_t_tests():
    generator = np.random.default_rng(2)
    reference = generator.uniform(0.7, 0.9, 40)
    other = reference + generator.normal(0.002, 0.01, 40)
    differences = other - reference
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(40)  # by the t-distribution itself
    expected = max(scipy.stats.t.sf((mean + 0.01) / error, 39), scipy.stats.t.cdf((mean - 0.01) / error, 39))
    assert equivalence(reference, other) == pytest.approx(expected)
    assert equivalence(reference, other) < 0.05
    assert equivalence(reference, reference + generator.normal(0.002, 0.1, 40)) > 0.05  # no difference is not enough
    assert equivalence(reference, reference) == 0.0
    assert equivalence(reference, reference + 0.005) == 0.0  # equal but for rounding
    assert equivalence(reference, reference + 0.02) == 1.0
    assert equivalence([0.5], [0.5]) is None


@pytest.mark.parametrize("raw, corrected", [
    ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
    ([0.5, None, 0.9], [1.0, None, 1.0]),
    ([None], [None]),
    ([], []),
])
def test_holm(raw, corrected):
    assert holm(raw) == pytest.approx(corrected) if None not in raw else holm(raw) == corrected


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="Received: 1 and 2"):
        compare_paired([1], [1, 2])


def test_bootstrap_does_not_depend_on_how_much_it_draws_at_a_time(monkeypatch):
    values = np.random.default_rng(0).normal(0.01, 1, 40)
    at_once = bootstrap_interval(values, seed=3)
    monkeypatch.setattr(statistics, "CHUNK", 40 * 7)
    assert bootstrap_interval(values, seed=3) == at_once


def test_cases_of_one_patient_count_together():
    values = np.random.default_rng(2).normal(0.8, 0.05, 20)
    twice, patients = np.repeat(values, 2), [f"p{i // 2:02d}" for i in range(40)]
    alone, together = summarise(values), summarise(twice, patients)
    assert together.n == 40 and together.interval == pytest.approx(alone.interval)  # a copy tells nothing new
    assert np.ptp(summarise(twice).interval) < 0.8 * np.ptp(alone.interval)
    other = np.repeat(values + np.random.default_rng(3).normal(0.004, 0.01, 20), 2)
    first, paired = compare_paired(values, other[::2]), compare_paired(twice, other, clusters=patients)
    assert paired.n == 40 and paired.interval == pytest.approx(first.interval)
    assert paired.p_value == pytest.approx(first.p_value)
    assert equivalence(twice, other, clusters=patients) == pytest.approx(equivalence(values, other[::2]))
    sizes = summarise([1, 1, 1, 0], ["a", "a", "a", "b"])
    assert sizes.mean == 0.75 and sizes.interval == (0, 1)  # the mean is over cases
    assert summarise([1, 2], ["a", "a"]).interval is None
