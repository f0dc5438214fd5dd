"""DeLong against scikit-learn's area and against a bootstrap; curves, proportions, tests with known answers."""

import numpy as np
import pytest
from pocketnet.evaluation import roc
from sklearn.metrics import roc_auc_score


@pytest.fixture(scope="module")
def scored():
    """Two networks' scores of 60 positive and 140 negative cases, correlated, with ties."""
    rng = np.random.default_rng(3)
    positive = np.arange(200) < 60
    shared = rng.normal(size=200) + 1.1 * positive
    return np.round(np.stack([shared + rng.normal(0, 0.6, 200), shared + rng.normal(0, 0.9, 200)]), 1), positive


def test_areas_are_scikit_learns(scored):
    scores, positive = scored
    expected = [roc_auc_score(positive, one) for one in scores]
    np.testing.assert_allclose(roc.areas(scores, positive).values, expected, atol=1e-12)
    assert roc.auc(scores[0], positive) == pytest.approx(roc.areas(scores[:1], positive).values[0], abs=1e-12)


def test_area_of_scores_that_are_not_numbers_or_of_one_class():
    assert np.isnan(roc.auc(np.array([0.1, np.nan, 0.3]), np.array([True, False, True])))
    with pytest.raises(ValueError, match="3 positive and 0 negative"):
        roc.auc(np.array([0.1, 0.2, 0.3]), np.array([True] * 3))


def test_variances_are_delongs_definition_and_near_a_bootstrap(scored):
    scores, positive = scored
    found = roc.areas(scores, positive)
    parts = []
    for one in scores:  # the definition, case by case
        wins = (one[positive][:, None] > one[~positive]) + 0.5 * (one[positive][:, None] == one[~positive])
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    slow = sum(np.cov([part[side] for part in parts]) / len(parts[0][side]) for side in (0, 1))
    np.testing.assert_allclose(found.covariance, slow, atol=1e-12)
    rng = np.random.default_rng(0)
    places = [np.flatnonzero(positive), np.flatnonzero(~positive)]
    drawn = [roc.areas(scores[:, picked], positive[picked]).values for picked in
             (np.concatenate([rng.choice(side, len(side)) for side in places]) for _ in range(1500))]
    np.testing.assert_allclose(np.cov(np.array(drawn).T), found.covariance, rtol=0.15)
    low, high = roc.interval(found)
    np.testing.assert_allclose((low, high), np.percentile(np.array(drawn)[:, 0], (2.5, 97.5)), atol=0.012)


def test_differences():
    rng = np.random.default_rng(1)
    positive = np.arange(400) < 100
    good = rng.normal(size=400) + 1.5 * positive
    found = roc.difference(roc.areas(np.stack([good, good + rng.normal(0, 0.01, 400)]), positive), margin=0.01)
    assert found.p_equivalence < 0.001 and found.interval[0] < found.value < found.interval[1]
    worse = roc.difference(roc.areas(np.stack([good, rng.normal(size=400)]), positive), margin=0.01)
    assert worse.value < -0.2 and worse.p_value < 1e-6 and worse.p_equivalence > 0.99
    same = roc.difference(roc.areas(np.stack([good, good]), positive), margin=0.01)
    assert (same.value, same.p_value, same.p_equivalence) == (0, 1, 0)
    certain = roc.difference(roc.Areas(np.array([0.5, 0.75]), np.zeros((2, 2))), 0.01)
    assert certain == roc.Difference(0.25, (0.25, 0.25), 0, 1)


def test_edges():
    perfect = roc.areas(np.array([[0.1, 0.2, 0.8, 0.9]]), np.array([False, False, True, True]))
    assert perfect.values[0] == 1 and roc.interval(perfect) is None
    single = roc.areas(np.array([[0.1, 0.5, 0.8]]), np.array([False, False, True]))
    assert np.isnan(single.covariance).all() and roc.interval(single) is None
    assert roc.difference(roc.Areas(np.array([0.5, 0.6]), np.full((2, 2), np.nan)), 0.01).p_value is None
    with pytest.raises(ValueError, match="both classes"):
        roc.areas(np.array([[0.1, 0.2]]), np.array([True, True]))


def test_the_mean_over_folds_and_its_curve(scored):
    scores, positive = scored
    halves = [np.arange(200) % 2 == side for side in (0, 1)]
    parts = [roc.areas(scores[:, half], positive[half]) for half in halves]
    mean = roc.mean_areas(parts)
    np.testing.assert_allclose(mean.values, (parts[0].values + parts[1].values) / 2)
    np.testing.assert_allclose(mean.covariance, (parts[0].covariance + parts[1].covariance) / 4)
    curve = np.array(roc.mean_curve([roc.curve(scores[0, half], positive[half]) for half in halves]))
    assert curve[0].tolist() == [0, 0] and curve[-1].tolist() == [1, 1] and (np.diff(curve, axis=0) >= 0).all()
    assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(mean.values[0], abs=1e-9)


def test_proportions_and_mcnemar():
    assert roc.wilson(0, 0) is None
    np.testing.assert_allclose(roc.wilson(8, 10), (0.4902, 0.9433), atol=1e-4)
    right = np.array([True] * 10 + [False] * 10)
    assert roc.mcnemar(right, right) == 1
    other = right.copy()
    other[:6] = False  # 6 lost, none gained
    assert roc.mcnemar(right, other) == pytest.approx(2 * 0.5**6)
