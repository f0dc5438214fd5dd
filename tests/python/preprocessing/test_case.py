"""Crop, resampling, normalisation and the way back."""

import numpy as np
import pytest
import tiny
from pocketnet.contracts.labels import Label
from pocketnet.contracts.plan import Preprocessing
from pocketnet.contracts.splits import Intensity
from pocketnet.errors import DataError
from pocketnet.inference.resample_back import on_source
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.boxes import bounding_box, whole
from pocketnet.preprocessing.case import prepare_label
from pocketnet.preprocessing.intensity import Normaliser, statistics_for
from pocketnet.preprocessing.label_maps import map_labels
from pocketnet.preprocessing.resample import resample
from pocketnet.preprocessing.scan import PreparedScan, read_scan, scan_of


def blob(shape=(20, 18, 16), channels=2, seed=0):
    image = np.zeros((*shape, channels), np.float32)
    image[4:15, 3:12, 5:14] = np.random.default_rng(seed).uniform(50, 150, (11, 9, 9, channels))
    return image


def test_bounding_box():
    mask = np.zeros((10, 8, 12), bool)
    assert bounding_box(mask) is None
    mask[2:5, 0, 9] = mask[4, 0, 11] = True
    assert bounding_box(mask) == ((2, 5), (0, 1), (9, 12))


@pytest.mark.parametrize("image", [np.zeros((3, 4, 5, 2), np.float32), np.eye(5, dtype=np.float32)[None, ..., None]])
def test_a_scan_read_in_parts_has_the_box_of_the_whole(image, monkeypatch):
    monkeypatch.setattr("pocketnet.preprocessing.scan.PART_BYTES", 1)
    assert scan_of(image, (1, 1, 1)).foreground_box() == (
        bounding_box((image != 0).any(axis=-1)) or whole(image.shape[:-1]))


def test_crop_is_the_box_of_the_foreground():
    image = blob()
    assert scan_of(image, (1, 1, 1)).foreground_box() == ((4, 15), (3, 12), (5, 14))
    assert scan_of(np.zeros((3, 4, 5, 1)), (1, 1, 1)).foreground_box() == ((0, 3), (0, 4), (0, 5))
    prepared = tiny.prepared(image)
    np.testing.assert_array_equal(prepared.image, image[4:15, 3:12, 5:14])
    assert tiny.prepared(image, preprocessing=Preprocessing("none", None, "zscore")).image.shape == image.shape


@pytest.mark.parametrize("filled, normalisation, dark", [
    (10, "zscore", False), (6, "zscore", False), (5, "zscore", False), (4, "zscore", True), (1, "zscore", True),
    (0, "zscore", True), (0, "window", False)])
def test_zero_means_nothing_where_most_of_the_border_is_zero(filled, normalisation, dark):
    """The rule by which windows may reach over the border. Of a row of ten voxels all are border, five are half."""
    image = np.zeros((10, 1, 1, 2), np.float32)
    image[:filled, ..., 1] = -1  # one channel that is not zero is enough
    plan = Preprocessing("none", None, normalisation)
    assert PreparedScan(scan_of(image, (1, 1, 1)), plan).background_is_zero == dark


def test_only_the_border_says_whether_zero_means_nothing():
    scan = scan_of(np.pad(np.ones((6, 6, 6, 1), np.float32), [(1, 1)] * 3 + [(0, 0)]), (1, 1, 1))
    assert PreparedScan(scan, Preprocessing("none", None, "zscore")).background_is_zero
    assert not PreparedScan(scan, Preprocessing("nonzero", None, "zscore")).background_is_zero


def test_zscore_is_over_the_foreground_and_keeps_zero():
    image = blob()
    out = Normaliser("zscore")(image, statistics_for(image, "zscore"))
    inside = image[..., 0] != 0
    assert out[..., 0][inside].mean() == pytest.approx(0, abs=1e-5)
    assert out[..., 0][inside].std() == pytest.approx(1, abs=1e-5)
    assert not out[~inside].any() and out.dtype == np.float32


def test_window_is_clipped_and_by_the_folds_constants():
    constants = [Intensity("CT", 90.0, 40.0, -17.0, 201.0)]
    image = np.array([-1000, -17, 90, 201, 3000], np.float32).reshape(5, 1, 1, 1)
    out = Normaliser("window", constants)(image, []).ravel()
    np.testing.assert_allclose(out, (np.array([-17, -17, 90, 201, 201]) - 90) / 40, rtol=1e-6)
    with pytest.raises(ValueError, match="Unknown normalisation"):
        Normaliser("minmax", constants)(image, [])


def test_patch_is_normalised_as_the_volume_is():
    image = blob()
    statistics = statistics_for(image, "zscore")
    normalise = Normaliser("zscore")
    whole = normalise(image, statistics)
    np.testing.assert_array_equal(normalise(image[2:9, 2:9, 2:9], statistics), whole[2:9, 2:9, 2:9])


def test_resampling_keeps_extent_and_linear_ramps():
    ramp = np.broadcast_to((np.arange(16, dtype=np.float32) + 0.5)[:, None, None], (16, 4, 4)).copy()
    half = resample(ramp, (8, 4, 4))
    np.testing.assert_allclose(half[:, 0, 0], np.arange(8) * 2 + 1.0, atol=1e-5)  # voxel centres, twice as wide
    double = resample(ramp, (32, 4, 4))
    np.testing.assert_allclose(double[2:-2, 1, 1], ((np.arange(32) + 0.5) / 2)[2:-2], atol=1e-5)
    np.testing.assert_array_equal(resample(ramp[..., None], (8, 4, 4)), half[..., None])
    channels = resample(np.stack([ramp, -ramp], -1), (8, 4, 4))
    np.testing.assert_allclose(channels[..., 1], -half, atol=1e-6)


@pytest.mark.parametrize("spacing", [None, (2.0, 1.0, 1.5)])
def test_label_returns_to_its_own_grid(spacing):
    image = blob()
    label = np.zeros(image.shape[:3], np.uint8)
    label[6:13, 4:11, 6:13] = 1
    preprocessing = Preprocessing("nonzero", spacing, "zscore")
    prepared = tiny.prepared(image, preprocessing=preprocessing)
    probabilities = np.eye(2, dtype=np.float32)[prepare_label(label, prepared)]
    scan = PreparedScan(scan_of(image, (1.0, 1.0, 1.0)), preprocessing)
    back = np.zeros_like(label)
    for start, planes in on_source(iter([(0, probabilities)]), scan):
        box = [slice(*side) for side in scan.box[:2]]
        low = scan.box[2][0] + start
        back[(*box, slice(low, low + planes.shape[2]))] = planes.argmax(axis=-1)
    assert back.shape == label.shape and back.dtype == label.dtype
    overlap = 2 * (back & label).sum() / (back.sum() + label.sum())
    assert overlap == 1 if spacing is None else overlap > 0.8
    shift = np.argwhere(back).mean(axis=0) - np.argwhere(label).mean(axis=0)
    assert np.abs(shift).max() <= 0.5  # voxels


def test_labels_are_merged_and_the_rest_is_background():
    labels = [Label("whole tumour", 1, (1, 2, 4)), Label("cyst", 2, (7,))]
    out = map_labels(np.array([[[0, 1, 2, 3, 4, 7]]]), labels)
    assert out.tolist() == [[[0, 1, 1, 0, 1, 2]]] and out.dtype == np.uint8


def test_modalities_on_other_grids_or_with_nan_are_named(tmp_path):
    grid = geometry.Grid((4, 4, 4), np.eye(4))
    moved = geometry.Grid((4, 4, 4), np.diag([1.0, 1.0, 2.0, 1.0]))
    data = np.ones((4, 4, 4), np.float32)
    geometry.write_image(tmp_path / "a.nii", data, grid)
    geometry.write_image(tmp_path / "b.nii", data, moved)
    data[0, 0, 0] = np.nan
    geometry.write_image(tmp_path / "c.nii", data, grid)
    with pytest.raises(DataError) as caught:
        read_scan([tmp_path / name for name in ("a.nii", "b.nii", "c.nii")])
    assert len(caught.value.problems) == 2
    assert "b.nii" in caught.value.problems[0] and "1 voxel is NaN" in caught.value.problems[1]
