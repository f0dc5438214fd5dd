"""The temperature of a label: found again where it is known, and measured on cases that it is not from."""

from __future__ import annotations

import numpy as np
import pytest
from pocketnet.evaluation import temperature
from pocketnet.evaluation.temperature import Counts, Scaling


def case(of, seed, voxels=40_000, bias=0.0):
    """Voxels whose probabilities are too sure by a factor of `of`, mostly far from the label; or too high."""
    random = np.random.default_rng(seed)
    logits = np.concatenate([random.normal(-6, 2, voxels), random.normal(0, 2, voxels)])
    reference = random.random(logits.size) < 1 / (1 + np.exp(-logits))
    return Counts.of((1 / (1 + np.exp(-(logits - bias) * of))).astype(np.float32), reference)


@pytest.mark.parametrize(("of", "bias"), [(0.5, 0.0), (1.0, 0.0), (1.6, 0.0), (1.3, -1.5)])
def test_a_known_temperature_and_bias_are_found_and_calibrate(of, bias):
    found = temperature.of_label("tumour", [[case(of, seed, bias=bias)] for seed in range(4)])
    assert found.temperature == pytest.approx(of, rel=0.03) and found.cases == 4
    assert found.bias == pytest.approx(bias, abs=0.05)
    assert found.after.ece < 0.006
    if of == 1:
        assert found.before.ece < 0.006
    else:
        assert found.before.ece > 5 * found.after.ece
    assert sum(one.voxels for one in found.before.bins) == sum(one.voxels for one in found.after.bins)
    for one in found.after.bins:
        assert one.observed == pytest.approx(one.probability, abs=0.03)


def test_the_error_is_that_of_probability_maps():
    """`evaluation.calibration`, which counts voxel by voxel."""
    from pocketnet.evaluation.calibration import measure

    random = np.random.default_rng(1)
    probability = (random.random((30, 30, 30)) ** 4).astype(np.float32)
    probability[:10] = 0
    reference = random.random(probability.shape) < probability**2
    found = temperature.reliability(temperature.binned(Counts.of(probability, reference)))
    maps = measure(reference, np.rint(probability * 255) / 255)
    assert found.ece == pytest.approx(maps.ece, abs=0.002)
    assert sum(one.voxels for one in found.bins) == pytest.approx(maps.voxels, rel=0.01)


def test_each_part_is_measured_with_the_temperature_of_the_others():
    """One part is calibrated already; the other part's temperature spoils it."""
    found = temperature.of_label("tumour", [[case(1.0, 1)], [case(3.0, 2)]])
    own = temperature.reliability(temperature.binned(case(1.0, 1), temperature.fit(case(3.0, 2))))
    assert own.ece > 0.05 and found.after.ece > 0.05 and 1 < found.temperature < 3


def test_calibrated_probabilities_keep_their_order_and_their_ends():
    p = np.linspace(0, 1, 1001, dtype=np.float32)
    found = temperature.calibrated(p, Scaling(2.0))
    assert found[0] == 0 and found[-1] == 1 and found.dtype == np.float32 and (np.diff(found) > 0).all()
    assert found[500] == pytest.approx(0.5) and found[900] == pytest.approx(1 / (1 + (1 / 9) ** 0.5), abs=1e-4)
    shifted = temperature.calibrated(p, Scaling(2.0, -1.0))
    assert (shifted[1:-1] < found[1:-1]).all() and shifted[500] == pytest.approx(1 / (1 + np.e), abs=1e-4)


def test_a_label_that_no_case_has_gets_no_temperature():
    none = Counts.of(np.full((4, 4), 0.2, np.float32), np.zeros((4, 4), bool))
    found = temperature.of_label("tumour", [[none], [none]])
    assert found.temperature is None and found.cases == 0 and found.after is None
    one = temperature.of_label("tumour", [[none], [case(2.0, 1)]])  # nothing else to measure it by
    assert one.temperature == pytest.approx(2, rel=0.05) and one.cases == 1 and one.after is None
