"""Statistics of an image in parts are those of the whole, and normalised values are float32."""

import numpy as np
import pytest
from pocketnet.contracts.splits import Intensity
from pocketnet.preprocessing.intensity import Moments, Normaliser, statistics_for


@pytest.mark.parametrize("scheme", ["zscore", "zscore_image"])
def test_parts_of_unlike_means_and_sizes_give_the_statistics_of_the_whole(scheme):
    rng = np.random.default_rng(0)
    image = np.concatenate([rng.normal(mean, 5, (size, 3, 2, 2)) for mean, size in ((10, 2), (500, 7), (-90, 1))])
    image[0] = 0
    moments = Moments(2, scheme)
    for part in (image[:1], image[1:3], image[3:9], image[9:]):
        moments.add(part)
    values = [channel if scheme == "zscore_image" else channel[channel != 0] for channel in np.moveaxis(image, -1, 0)]
    for found, whole, expected in zip(moments.statistics(), statistics_for(image, scheme), values, strict=True):
        for one in (found, whole):
            assert (one.mean, one.std) == pytest.approx((expected.mean(), expected.std()))


@pytest.mark.parametrize("scheme", ["zscore", "zscore_image", "window"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float64])
def test_normalised_values_are_float32_whatever_the_image_is(scheme, kind):
    image = np.random.default_rng(0).integers(1, 200, (4, 5, 6, 1)).astype(kind)
    constants = [Intensity("mri", mean=100.0, std=20.0, p0_5=10.0, p99_5=150.0)]
    out = Normaliser(scheme, constants)(image, constants)
    limited = np.clip(image, 10, 150) if scheme == "window" else image
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, (limited.astype(np.float64) - 100) / 20, rtol=1e-6)
