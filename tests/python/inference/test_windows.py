"""Windows cover a volume, and merging them layer by layer gives what merging all at once gives."""

import itertools

import numpy as np
import pytest
import tiny
from pocketnet.contracts.plan import Preprocessing
from pocketnet.inference.merge import last_region, merge, most_likely
from pocketnet.inference.resample_back import on_source
from pocketnet.inference.windows import gaussian_weight, large, overlapping, starts
from pocketnet.preprocessing import scan as scans
from pocketnet.preprocessing.resample import resample
from pocketnet.preprocessing.scan import PreparedScan, scan_of

SHAPES = [(20, 12, 24), (16, 16, 16), (5, 40, 17), (33, 16, 70)]


def tilings(shape):
    sizes = (16, 16, 16), (4, 4, 4)
    return {"overlapping": overlapping(shape, (16, 16, 16), 0.5, 0.125),
            "large": large(shape, *sizes, 20**3, 0.125, pad=False),
            "one window": large(shape, *sizes, 10**6, 0.125, pad=True)}


def whole(tiling, channels, predict):
    """The straightforward way: everything of the volume in memory."""
    pad = [(max(0, -places[0].start), max(0, places[-1].start + side - n))
           for places, side, n in zip(tiling.places, tiling.window, tiling.shape, strict=True)]
    total = np.zeros([n + a + b for n, (a, b) in zip(tiling.shape, pad, strict=True)] + [channels])
    weights = np.zeros(total.shape[:-1])
    for window in itertools.product(*tiling.places):
        at = tuple(slice(p.start + a, p.start + a + side)
                   for p, (a, _), side in zip(window, pad, tiling.window, strict=True))
        weight = gaussian_weight(tiling.window, tiling.sigma)
        total[at] += predict(window) * weight[..., None]
        weights[at] += weight
    inside = tuple(slice(a, a + n) for (a, _), n in zip(pad, tiling.shape, strict=True))
    return (total / weights[..., None])[inside]


def joined(parts):
    parts = [(first, planes.copy()) for first, planes in parts]
    assert [first for first, _ in parts] == list(np.cumsum([0] + [p.shape[2] for _, p in parts])[:-1])
    return np.concatenate([planes for _, planes in parts], axis=2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", tilings((16, 16, 16)))
def test_windows_that_say_what_is_there_give_it_back(shape, kind):
    tiling = tilings(shape)[kind]
    image = np.random.default_rng(0).random((*shape, 2)).astype(np.float32)

    def predict(window):
        out = np.full((*tiling.window, 2), -1, np.float32)
        low = [max(0, p.start) for p in window]
        part = image[tuple(slice(a, max(a, p.start + side)) for a, p, side in
                           zip(low, window, tiling.window, strict=True))]
        at = [(a - p.start, a - p.start + n) for a, p, n in zip(low, window, part.shape[:3], strict=True)]
        out[tuple(slice(*side) for side in at)] = part
        return out

    np.testing.assert_allclose(joined(merge(tiling, 2, [predict])), image, atol=1e-5)
    halves = [lambda window: predict(window) * np.float32(0.25), lambda window: predict(window) * np.float32(0.75)]
    np.testing.assert_allclose(joined(merge(tiling, 2, halves)), image, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", tilings((16, 16, 16)))
def test_merging_by_layers_is_merging_at_once(shape, kind):
    tiling = tilings(shape)[kind]
    predict = lambda window: np.random.default_rng([p.start + 99 for p in window]).random((*tiling.window, 3))  # noqa: E731
    merged = joined(merge(tiling, 3, [predict]))
    np.testing.assert_allclose(merged, whole(tiling, 3, predict), rtol=1e-4)
    assert merged.dtype == np.float32


@pytest.mark.parametrize("shape", [(35, 50, 36), (140, 180, 141), (512, 512, 800), (7, 7, 7)])
@pytest.mark.parametrize("most", [64**3, 128**3, 2**23])
@pytest.mark.parametrize("pad", [False, True])
def test_large_windows_overlap_and_fit(shape, most, pad):
    tiling = large(shape, (128, 128, 128), (32, 32, 32), most, 0.125, pad)
    assert all(side % 32 == 0 for side in tiling.window)
    assert np.prod(tiling.window) <= most or max(tiling.window) <= 64
    for n, side, places in zip(shape, tiling.window, tiling.places, strict=True):
        assert places[0].low == 0 and places[-1].high == n
        assert all(b.start <= a.start + side - min(32, n // 2) for a, b in itertools.pairwise(places))
        assert side <= n or (len(places) == 1 and (pad or n < 128))
        assert side >= min(n, 128) or most < 128**3
    if most == 2**23:
        assert tiling.window == {(35, 50, 36): (64, 64, 64), (7, 7, 7): (32, 32, 32)}.get(shape, tiling.window)
        assert len(tiling) <= 8 or shape == (512, 512, 800)


@pytest.mark.parametrize("shape, divisor, most, pad, window, along", [
    ((20, 36), 4, 400, False, (20, 20), ([0], [0, 8, 16])),  # the overlap is a quarter of the patch, no less
    ((20, 36), 8, 1600, True, (24, 40), ([-2], [-2])),  # one window around the volume
    ((20, 48), 4, 400, False, (20, 20), ([0], [0, 9, 19, 28])),  # five windows of 16 have as many voxels
    ((20, 24), 4, 1, False, (12, 12), ([0, 4, 8], [0, 4, 8, 12]))])  # even the smallest has more voxels
def test_the_fewest_voxels_in_the_fewest_windows_are_chosen(shape, divisor, most, pad, window, along):
    tiling = large(shape, (32, 32), (divisor, divisor), most, 0.125, pad)
    assert tiling.window == window
    assert tuple([place.start for place in places] for places in tiling.places) == along


@pytest.mark.parametrize("size, patch, overlap, expected", [
    (20, 16, 0.5, [0, 4]), (32, 16, 0.5, [0, 8, 16]), (33, 16, 0.5, [0, 8, 16, 17]), (16, 16, 0.5, [0]),
    (30, 10, 0.0, [0, 10, 20]), (30, 10, 0.25, [0, 8, 16, 20]), (3, 1, 0.9, [0, 1, 2]), (13, 16, 0.5, [-1])])
def test_windows_start_a_stride_apart_and_the_last_ends_with_the_axis(size, patch, overlap, expected):
    assert starts(size, patch, overlap) == expected


def test_a_window_lies_around_a_volume_that_is_smaller():
    (place,), (other,) = overlapping((5, 16), (16, 16), 0.5, 0.125).places
    assert (place.start, place.low, place.high) == (-5, 0, 5) and (other.start, other.low, other.high) == (0, 0, 16)


@pytest.mark.parametrize("make", [
    lambda: overlapping((20, 12, 24), (16, 16), 0.5, 0.125),
    lambda: large((20, 12, 24), (16, 16), (4, 4, 4), 10**6, 0.125, pad=True),
    lambda: large((20, 12, 24), (16, 16, 16), (4, 4), 10**6, 0.125, pad=True)])
def test_volume_patch_and_divisor_of_other_dimensions_are_refused(make):
    with pytest.raises(ValueError, match="zip"):
        make()


@pytest.mark.parametrize("sigma", [0.125, 0.5])
def test_a_window_counts_by_a_gaussian_around_its_middle(sigma):
    weight = gaussian_weight((9, 4), sigma)
    for at in np.ndindex(9, 4):
        of_side = [(index - (side - 1) / 2) / side for index, side in zip(at, (9, 4), strict=True)]
        middle = [0.0, 0.5 / 4]  # of an even side no voxel is the middle
        expected = np.exp((sum(share**2 for share in middle) - sum(share**2 for share in of_side)) / (2 * sigma**2))
        assert weight[at] == pytest.approx(max(expected, 1e-4), rel=1e-5)
    assert weight.max() == 1 and weight.dtype == np.float32


@pytest.mark.parametrize("target", [None, (2.0, 0.8, 1.7), (1.0, 1.0, 5.0), (0.6, 1.0, 0.4)])
@pytest.mark.parametrize("scheme", ["zscore", "zscore_image", "window"])
def test_a_scan_prepared_by_planes_is_the_case_prepared_as_a_whole(monkeypatch, target, scheme):
    monkeypatch.setattr(scans, "PART_BYTES", 5000)
    image = np.zeros((20, 18, 26, 2), np.float32)
    image[3:17, 2:15, 4:22] = np.random.default_rng(0).uniform(50, 150, (14, 13, 18, 2))
    preprocessing = Preprocessing(crop="nonzero", spacing_mm=target, normalisation=scheme)
    expected = tiny.prepared(image, (1.0, 1.0, 2.0), preprocessing)
    found = PreparedScan(scan_of(image, (1.0, 1.0, 2.0)), preprocessing)
    assert found.box == expected.box and found.shape == expected.image.shape[:3]
    np.testing.assert_allclose(found.planes(0, found.shape[2]), expected.image, rtol=1e-5)
    for start, stop in ((0, 3), (2, 7), (found.shape[2] - 4, found.shape[2])):
        np.testing.assert_allclose(found.planes(start, stop), expected.image[:, :, start:stop], rtol=1e-5)
    for a, b in zip(found.statistics, expected.statistics if scheme != "window" else [], strict=True):
        assert vars(a) == pytest.approx(vars(b), rel=1e-6)


@pytest.mark.parametrize("target", [(2.0, 0.8, 1.7), (1.0, 1.0, 5.0), (0.6, 1.0, 0.4)])
@pytest.mark.parametrize("sizes", [[1] * 99, [7, 2, 11, 99], [99]])
def test_results_return_to_the_source_by_planes_as_they_do_at_once(monkeypatch, target, sizes):
    monkeypatch.setattr(scans, "PART_BYTES", 5000)
    prepared = PreparedScan(scan_of(np.ones((20, 18, 26, 1), np.float32), (1, 1, 2)),
                            Preprocessing("nonzero", target, "zscore"))
    merged = np.random.default_rng(0).random((*prepared.shape, 3)).astype(np.float32)
    borders = [0, *(n for n in np.cumsum(sizes) if n < prepared.shape[2]), prepared.shape[2]]
    parts = [(a, merged[:, :, a:b]) for a, b in itertools.pairwise(borders)]
    np.testing.assert_allclose(joined(on_source(iter(parts), prepared)), resample(merged, prepared.cropped), atol=1e-5)


def test_the_most_likely_class_is_argmax_and_of_equal_ones_the_first():
    few = np.random.default_rng(0).integers(0, 4, size=(5, 6, 7, 8)).astype(np.float32)
    for values in (few, np.moveaxis(few, 1, -1)):
        np.testing.assert_array_equal(most_likely(values), values.argmax(axis=-1))
        assert most_likely(values).dtype == np.uint8


def test_a_voxel_is_of_the_last_region_that_is_more_likely_than_not():
    found = last_region(np.array([[[0.9, 0.2, 0.1], [0.9, 0.8, 0.1], [0.9, 0.1, 0.6]],
                                  [[0.5, 0.5, 0.5], [0.1, 0.51, 0.2], [0.0, 0.0, 1.0]]], np.float32))
    assert found.dtype == np.uint8
    assert found.tolist() == [[1, 2, 3], [0, 2, 3]]
