"""2D images: read, resized and measured, and kept in a store with their class."""

import numpy as np
import pytest
from PIL import Image
from pocketnet.contracts.plan import Preprocessing
from pocketnet.preprocessing import picture, store
from pocketnet.preprocessing.intensity import statistics_for

SCHEME = {"crop": "none", "spacing_mm": None, "normalisation": "zscore_image"}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (12, 8, 1)).astype(np.float32)


def test_smaller_images_are_means_over_the_pixels_that_fall_onto_one():
    stripes = np.tile(np.array([0, 100], np.float32), (8, 8))[..., None]
    resized = picture.resize(stripes, (4, 4))
    assert resized.shape == (4, 4, 1) and resized.dtype == np.float32
    np.testing.assert_allclose(resized, 50, atol=10)  # every second column would be 0 or 100


def test_a_prepared_image_has_its_size_its_source_and_its_statistics(image):
    found = picture.prepare(image, Preprocessing(**SCHEME, size=(6, 4)))
    np.testing.assert_array_equal(found.image, picture.resize(image, (6, 4)))
    assert (found.spacing, found.source_shape, found.box) == ((1, 1), (12, 8), ((0, 12), (0, 8)))
    assert found.statistics == statistics_for(found.image, "zscore_image")
    assert found.statistics[0].mean == pytest.approx(found.image.mean(), rel=1e-6)


def test_without_a_size_or_with_its_own_an_image_stays(image):
    for size in (None, (12, 8)):
        np.testing.assert_array_equal(picture.prepare(image, Preprocessing(**SCHEME, size=size)).image, image)


def test_a_file_gives_its_grey_values(image, tmp_path):
    Image.fromarray(image[..., 0].astype(np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.read_images([tmp_path / "a.png"] * 2), np.concatenate([image] * 2, axis=-1))


@pytest.mark.parametrize("class_name", ["covid", None])
def test_a_store_knows_the_class(image, tmp_path, class_name):
    prepared = picture.prepare(image, Preprocessing(**SCHEME, size=(6, 4)))
    opened = store.Store(store.write_store(tmp_path, "a", ["xray"], prepared, None, {}, class_name))
    assert opened.class_name == class_name
