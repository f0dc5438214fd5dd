"""Augmentation: each change by itself against SciPy or by what must stay."""

import numpy as np
import pytest
import tiny
from pocketnet.contracts.plan import AUGMENTATIONS, Augmentation
from pocketnet.training.augmentation import augment, contrast, gamma
from pocketnet.training.sampling import PatchSampler
from pocketnet.training.warp import Warp, sample_warp
from scipy.ndimage import map_coordinates

PATCH = (24, 20, 16)
STILL = np.zeros((0, 0, 0, 3), np.float32)


def settings(**changes):
    return Augmentation(**({"flip": 0.0, "noise": 0.0, "blur": 0.0} | changes))


def volume(shape, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*shape, channels)).astype(np.float32), rng.integers(0, 3, shape).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_a_warp_is_scipys_interpolation_of_the_box(seed):
    every = settings(rotation=1.0, rotation_degrees=(-40.0, 40.0), scaling=1.0, scaling_range=(0.7, 1.4), elastic=1.0,
                     elastic_sd_mm=(2.0, 2.0), elastic_spacing_mm=8.0)
    warp = sample_warp(every, PATCH, (1.0, 1.2, 3.0), np.random.default_rng(seed))
    low, size = warp.box()
    image, label = volume(size)
    new_image, new_label = warp.apply(image, label)

    points = np.meshgrid(*[np.linspace(0, n - 1, p) for n, p in zip(warp.displacement.shape, PATCH, strict=False)],
                         indexing="ij")
    moved = np.stack([map_coordinates(warp.displacement[..., axis], points, order=1) for axis in range(3)], axis=-1)
    centre = (np.array(PATCH) - 1) / 2
    voxels = np.stack(np.meshgrid(*map(np.arange, PATCH), indexing="ij"), axis=-1) - centre
    source = np.moveaxis(voxels @ warp.matrix.T + centre + moved - low, -1, 0)
    assert source.min() >= 0 and (source.max(axis=(1, 2, 3)) <= size - 1).all()  # the box holds all that is needed
    for channel in range(2):
        expected = map_coordinates(image[..., channel], source, order=1)
        np.testing.assert_allclose(new_image[..., channel], expected, atol=1e-4)
    nearest = label[tuple(np.floor(source + 0.5).astype(int))]
    assert (new_label == nearest).mean() > 0.9999  # the half between two voxels may be rounded either way


def test_no_warp_changes_nothing():
    warp = Warp(PATCH, np.eye(3, dtype=np.float32), STILL)
    low, size = warp.box()
    image, label = volume(size)
    inner = tuple(slice(-a, -a + p) for a, p in zip(low, PATCH, strict=True))
    for found, given in zip(warp.apply(image, label), (image, label), strict=True):
        np.testing.assert_array_equal(found, given[inner])
    assert sample_warp(settings(), PATCH, (1, 1, 1), np.random.default_rng(0)) is None


@pytest.mark.parametrize("through", [0, 1, 2])
def test_a_warp_of_a_slice_stays_in_its_plane(through):
    patch = tuple(1 if axis == through else 12 for axis in range(3))
    every = settings(rotation=1.0, rotation_degrees=(20.0, 40.0), scaling=1.0, elastic=1.0, elastic_sd_mm=(3.0, 3.0))
    warp = sample_warp(every, patch, (1.0, 1.0, 1.0), np.random.default_rng(1), through)
    low, size = warp.box()
    other = np.arange(size[through]) != -low[through]  # every plane but the patch's own
    image, label = np.ones((*size, 1), np.float32), np.ones(size, np.uint8)
    for array in (image, label):
        np.moveaxis(array, through, 0)[other] = 7
    new_image, new_label = warp.apply(image, label)
    assert new_image.shape[:3] == patch and set(np.unique(new_label)) <= {0, 1} and new_image.max() <= 1 + 1e-6
    assert (new_label == 1).mean() > 0.5
    across = sample_warp(every, patch, (1.0, 1.0, 1.0), np.random.default_rng(1))
    assert np.abs(across.matrix[through, [axis for axis in range(3) if axis != through]]).max() > 0.1


def test_a_rotation_keeps_lengths_in_millimetres():
    spacing = np.array([1.0, 1.0, 4.0])
    turned = settings(rotation=1.0, rotation_degrees=(30.0, 30.0))
    warp = sample_warp(turned, PATCH, tuple(spacing), np.random.default_rng(0))
    in_mm = np.diag(spacing) @ warp.matrix @ np.diag(1 / spacing)
    np.testing.assert_allclose(in_mm @ in_mm.T, np.eye(3), atol=1e-5)
    assert abs(in_mm[0, 1]) > 0.3


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scaling_by_two_makes_things_twice_as_large(factor):
    scaled = settings(scaling=1.0, scaling_range=(factor, factor))
    warp = sample_warp(scaled, PATCH, (1, 1, 1), np.random.default_rng(0))
    low, size = warp.box()
    distance = np.sqrt(sum((axis + a - (p - 1) / 2) ** 2
                           for axis, a, p in zip(np.indices(size), low, PATCH, strict=True)))
    ball = (distance < 3).astype(np.uint8)
    _, new = warp.apply(ball[..., None].astype(np.float32), ball)
    assert new.sum() / ball.sum() == pytest.approx(factor**3, rel=0.2)


def test_outside_the_given_voxels_is_background():
    image, label = volume((4, 4, 4))
    far = Warp((8, 8, 8), np.eye(3, dtype=np.float32) * 9, STILL)
    new_image, new_label = far.apply(image + 5, label | 1)
    assert new_image[0, 0, 0].all() and new_label[0, 0, 0]
    assert not new_image[-1, -1, -1].any() and not new_label[-1, -1, -1]


@pytest.mark.parametrize("power", [0.7, 1.5])
def test_gamma_keeps_mean_spread_and_order_and_inverts(power):
    channel = volume(PATCH)[0][..., 0]
    for inverted in (False, True):
        changed = gamma(channel, power, inverted)
        assert changed.mean() == pytest.approx(channel.mean(), abs=1e-4)
        assert changed.std() == pytest.approx(channel.std(), rel=1e-4)
        assert (np.diff(changed.ravel()[np.argsort(channel.ravel())]) >= -1e-5).all()
    np.testing.assert_allclose(gamma(-channel, power, True), -gamma(channel, power, False), atol=1e-5)
    assert np.isfinite(gamma(np.zeros((4, 4), np.float32), power, False)).all()


def test_contrast_stretches_about_the_mean_within_the_range():
    channel = volume(PATCH)[0][..., 0]
    assert contrast(channel, 0.5).std() == pytest.approx(0.5 * channel.std(), rel=1e-4)
    changed = contrast(channel, 2.0)
    assert changed.std() > 1.5 * channel.std()
    assert (changed.min(), changed.max()) == (channel.min(), channel.max())


def test_intensities_change_by_channel_and_labels_do_not():
    image, label = volume(PATCH)
    changed, same = augment(image, label, settings(brightness=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(same, label)
    ratio = (changed / image).reshape(-1, 2)
    np.testing.assert_allclose(ratio.std(axis=0), 0, atol=1e-3)
    assert ratio[0, 0] != ratio[0, 1] and (ratio >= 0.749).all() and (ratio <= 1.251).all()


def test_off_leaves_everything_as_it_is(stores):
    every = settings(**dict.fromkeys(AUGMENTATIONS, 1.0))
    plan = tiny.plan(augmentation=vars(every))
    one, other = (PatchSampler(plan, stores, ["case_2", "case_3"], [], fold=0).batch(3) for _ in range(2))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
    assert one[0].shape == (2, 16, 16, 16, 2) and one[0].dtype == np.float32 and one[1].dtype == np.uint8
    image, label = volume(PATCH)
    for found, given in zip(augment(image, label, every.off(), np.random.default_rng(0)), (image, label), strict=True):
        np.testing.assert_array_equal(found, given)
    assert sample_warp(every.off(), PATCH, (1, 1, 1), np.random.default_rng(0)) is None
