"""The features of a prediction, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pocketnet.contracts.labels import Label
from pocketnet.inference import features
from pocketnet.preprocessing import ranges
from pocketnet.preprocessing.image import Channel
from pocketnet.preprocessing.scan import Scan

LABELS = (Label("one", 1, (1,)), Label("two", 2, (2,)))


def cube(shape=(12, 12, 12)):
    classes = np.zeros(shape, np.uint8)
    classes[2:6, 2:6, 2:6] = 1
    return classes


def test_the_sums_over_slabs_are_those_over_the_whole():
    random = np.random.default_rng(0)
    p = random.dirichlet((1, 1, 1), (6, 7, 8)).astype(np.float32)
    classes = p.argmax(-1).astype(np.uint8)
    whole, slabs = features.Tally(LABELS), features.Tally(LABELS)
    whole.add(classes, p, None)
    for start in range(0, 8, 3):
        slabs.add(classes[..., start: start + 3], p[:, :, start: start + 3], None)
    for label, found in whole.features(1).items():
        assert slabs.features(1)[label] == pytest.approx(found)


def test_soft_dice_confidence_and_entropy_by_hand():
    p = np.zeros((1, 1, 4, 3), np.float32)
    p[0, 0, :, 1] = 0.9, 0.6, 0.4, 0.0
    p[..., 0] = 1 - p[..., 1]
    tally = features.Tally(LABELS)
    tally.add(p.argmax(-1).astype(np.uint8), p, np.full((1, 1, 4), 51, np.uint8))
    found = tally.features(2)
    assert list(found) == ["one"]  # no voxel has the other label
    entropy = -sum(q * math.log(q) + (1 - q) * math.log(1 - q) for q in (0.9, 0.6, 0.4))
    assert found["one"] == pytest.approx({"soft_dice": 2 * 1.5 / (2 + 1.9), "confidence": 0.75, "entropy": entropy / 2,
                                          "disagreement": 0.2}, rel=1e-5)


def test_labels_that_overlap_have_a_channel_each():
    labels = (Label("whole", 1, (1, 2), parts=(1, 2)), Label("core", 2, (2,), parts=(2,)))
    p = np.array([[[[0.9, 0.8], [0.7, 0.2]]]], np.float32)
    tally = features.Tally(labels)
    tally.add(np.array([[[2, 1]]], np.uint8), p, None)
    assert tally.features(1)["whole"]["confidence"] == pytest.approx(0.8)
    assert tally.features(1)["core"]["confidence"] == pytest.approx(0.8)


def test_the_shape_of_a_cube():
    found = features.of_shapes(cube(), LABELS, (1.0, 2.0, 3.0))
    assert list(found) == ["one"]
    assert found["one"] == pytest.approx({
        "volume": math.log(64 * 6 / 1000), "largest": 1.0, "components": 0.0, "surface": 1.0, "border": 0.0,
        "extent_x": math.log(4), "extent_y": math.log(8), "extent_z": math.log(12), "offset_x": 0.0, "offset_y": 0.0,
        "offset_z": 0.0})


def test_pieces_border_and_place():
    classes = cube()
    classes[0, 0, 0] = 1
    classes[8:12, 2:6, 2:6] = 2
    found = features.of_shapes(classes, LABELS, (1.0, 1.0, 1.0))
    assert found["one"]["components"] == pytest.approx(math.log(2)) and found["one"]["largest"] == 64 / 65
    assert found["one"]["border"] == 3 / 65 and found["two"]["border"] == 16 / 64
    assert found["two"]["offset_x"] > 0 > found["one"]["offset_x"]


def test_a_large_box_is_measured_at_evenly_spaced_voxels(monkeypatch):
    exact = features.of_shapes(np.repeat(np.repeat(np.repeat(cube(), 8, 0), 8, 1), 8, 2), LABELS, (1.0, 1.0, 1.0))
    monkeypatch.setattr(features, "MOST_VOXELS", 5000)
    sampled = features.of_shapes(np.repeat(np.repeat(np.repeat(cube(), 8, 0), 8, 1), 8, 2), LABELS, (1.0, 1.0, 1.0))
    for name, value in exact["one"].items():
        assert sampled["one"][name] == pytest.approx(value, abs=0.6), name


def test_noise_and_blur_change_the_sharpness_and_units_do_not():
    random = np.random.default_rng(0)
    smooth = np.add.outer(np.add.outer(np.sin(np.arange(20) / 4), np.cos(np.arange(20) / 3)), np.arange(20) / 9) + 5

    def of(image):
        channel = Channel(image.astype(np.float32))
        return features.of_scan(Scan((channel,), (1.0, 1.0, 2.5)), ["T1"], [ranges.measure_channel(channel)])

    plain = of(smooth)
    assert of(100 * smooth + 7) == pytest.approx(plain, abs=1e-3)
    assert of(smooth + random.normal(0, 0.5, smooth.shape))["T1: sharpness_x"] > plain["T1: sharpness_x"] + 0.3
    assert plain["spacing_z"] == math.log(2.5) and plain["extent_z"] == math.log(50)
