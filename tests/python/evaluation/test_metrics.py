"""Metrics against hand-computed values, against SimpleITK live, and against MONAI's golden values."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pocketnet.evaluation.metrics import (
    dice,
    directed_distances,
    image_diagonal,
    measure,
    surface,
    voxel_set_distances,
)
from pocketnet.preprocessing import geometry

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "monai_metrics.json").read_text())
NAN = float("nan")
TOLERANCE = 1e-3


def box(shape, *ranges):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*r) for r in ranges)] = True
    return mask


S = (10, 10, 10)
VOXEL = box(S, (2, 3), (2, 3), (2, 3))
EMPTY = np.zeros(S, bool)


@pytest.mark.parametrize("name, reference, prediction, spacing, expected_dice, hd95, asd", [
    ("the same", VOXEL, VOXEL, (1, 1, 1), 1, 0, 0),
    ("a voxel 3 steps of 2 mm off", VOXEL, np.roll(VOXEL, 3, 1), (1, 2, 1), 0, 6, 6),
    ("diagonal step", VOXEL, np.roll(VOXEL, (1, 1), (0, 2)), (3, 1, 4), 0, 5, 5),
    # 1x1x4 rod against its first voxel: forth 0,1,2,3 and back 0; 95th percentile of 0..3 is 2.85
    ("rod and its end", box(S, (1, 2), (1, 2), (0, 4)), box(S, (1, 2), (1, 2), (0, 1)), (1, 1, 1),
     2 / 5, 2.85, 6 / 5),
    # 3x3x3 cube and its centre: 6 faces at 1, 12 edges at √2, 8 corners at √3; the centre is 1 from the surface
    ("cube and its centre", box(S, (1, 4), (1, 4), (1, 4)), VOXEL, (1, 1, 1), 2 / 28, 3**0.5,
     (6 + 12 * 2**0.5 + 8 * 3**0.5 + 1) / 27),
    ("in neither", EMPTY, EMPTY, (1, 1, 1), NAN, NAN, NAN),
    ("not predicted", VOXEL, EMPTY, (1, 1, 2), 0, 600**0.5, 600**0.5),
    ("predicted where there is none", EMPTY, VOXEL, (1, 1, 2), 0, 600**0.5, 600**0.5),
    ("in the whole image", ~EMPTY, ~EMPTY, (1, 1, 1), 1, 0, 0),
])
def test_values_computed_by_hand(name, reference, prediction, spacing, expected_dice, hd95, asd):
    result = measure(reference, prediction, spacing)
    assert (result.dice, result.hd95_mm, result.asd_mm) == pytest.approx((expected_dice, hd95, asd), nan_ok=True)
    assert dice(reference, prediction) == pytest.approx(expected_dice, nan_ok=True)


@pytest.mark.parametrize("name, reference, prediction, spacing, hd95, asd", [
    ("the same", VOXEL, VOXEL, (1, 1, 1), 0, 0),
    ("a voxel 3 steps of 2 mm off", VOXEL, np.roll(VOXEL, 3, 1), (1, 2, 1), 6, 6),
    # forth 0,1,2,3 and back 0, as over surfaces: a rod is all surface
    ("rod and its end", box(S, (1, 2), (1, 2), (0, 4)), box(S, (1, 2), (1, 2), (0, 1)), (1, 1, 1), 2.85, 6 / 5),
    # the whole cube's voxels against its centre's; the centre lies in the cube, so the way back is 0
    ("cube and its centre", box(S, (1, 4), (1, 4), (1, 4)), VOXEL, (1, 1, 1), 3**0.5,
     (6 + 12 * 2**0.5 + 8 * 3**0.5) / 28),
    ("one voxel in a thousand off", ~EMPTY, ~VOXEL, (1, 1, 1), 0, 1 / 1999),
    ("in neither", EMPTY, EMPTY, (1, 1, 1), NAN, NAN),
    ("not predicted", VOXEL, EMPTY, (1, 1, 2), 600**0.5, 600**0.5),
])
def test_voxel_sets_computed_by_hand(name, reference, prediction, spacing, hd95, asd):
    result = measure(reference, prediction, spacing)
    assert (result.hd95_voxels_mm, result.asd_voxels_mm) == pytest.approx((hd95, asd), nan_ok=True)


@pytest.mark.parametrize("shape, spacing", [((20, 21, 22), (1, 0.7, 2.2)), ((30, 31), (1.5, 0.4))])
def test_voxel_set_distances_are_those_of_a_distance_map(shape, spacing):
    from scipy.ndimage import distance_transform_edt

    rng = np.random.default_rng(0)
    reference, prediction = rng.random(shape) < 0.3, rng.random(shape) < 0.4
    for found, start, goal in zip(voxel_set_distances(reference, prediction, spacing), (reference, prediction),
                                  (prediction, reference), strict=True):
        expected = distance_transform_edt(~goal, sampling=spacing)[start]
        np.testing.assert_allclose(np.sort(found), np.sort(expected))


def test_simpleitks_hausdorff_filter_takes_voxel_sets():
    """The filter that the paper cites: a hole inside is farther from the surface than any voxel from the other set."""
    solid = box((24, 24, 24), (2, 22), (2, 22), (2, 22))
    hollow = solid & ~box((24, 24, 24), (9, 15), (9, 15), (9, 15))
    expected = simpleitk(solid, hollow, (1, 1, 1))["hd_mm"]
    assert max(d.max() for d in voxel_set_distances(solid, hollow, (1, 1, 1))) == pytest.approx(expected)
    assert max(d.max() for d in directed_distances(solid, hollow, (1, 1, 1))) > expected


@pytest.mark.parametrize("reference, prediction, spacing, nsd", [
    (VOXEL, VOXEL, (1, 1, 1), 1), (VOXEL, np.roll(VOXEL, 1, 1), (1, 1.001, 1), 0), (EMPTY, EMPTY, (1, 1, 1), NAN),
    (VOXEL, EMPTY, (1, 1, 1), 0), (EMPTY, VOXEL, (1, 1, 1), 0),
    # forth 0,1,2,3 and back 0: three of five within 1 mm
    (box(S, (1, 2), (1, 2), (0, 4)), box(S, (1, 2), (1, 2), (0, 1)), (1, 1, 1), 3 / 5),
    # 6 faces and the centre are 1 mm apart, 12 edges and 8 corners are more
    (box(S, (1, 4), (1, 4), (1, 4)), VOXEL, (1, 1, 1), 7 / 27)])
def test_surface_dice_at_one_millimetre(reference, prediction, spacing, nsd):
    assert measure(reference, prediction, spacing).nsd_1mm == pytest.approx(nsd, nan_ok=True)


def test_volumes_are_in_millilitres():
    result = measure(box(S, (0, 5), (0, 4), (0, 2)), VOXEL, (2, 2.5, 10))
    assert (result.reference_ml, result.predicted_ml) == pytest.approx((2.0, 0.05))


def test_distances_do_not_depend_on_the_image_around():
    small = measure(VOXEL, np.roll(VOXEL, 2, 0), (1, 1, 1))
    large = measure(*(np.pad(mask, 7) for mask in (VOXEL, np.roll(VOXEL, 2, 0))), (1, 1, 1))
    assert small == large


def test_two_dimensions():
    reference = box((8, 8), (2, 5), (2, 5))
    result = measure(reference, np.roll(reference, 1, 0), (2, 1))
    assert (result.hd95_mm, result.asd_mm) == pytest.approx((2, 2 * (3 * 2 + 1) / 16))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_measured_in_its_plane(axis):
    reference, prediction = np.zeros((2, 30, 40), bool)
    reference[5:25, 5:25], prediction[8:25, 5:30] = True, True
    spacing = [0.5, 2.0]
    flat = measure(reference, prediction, spacing)
    thick = measure(np.expand_dims(reference, axis), np.expand_dims(prediction, axis), np.insert(spacing, axis, 999.0))
    assert (thick.hd95_mm, thick.asd_mm, thick.nsd_1mm) == (flat.hd95_mm, flat.asd_mm, flat.nsd_1mm)
    assert flat.nsd_1mm < 0.8 and thick.reference_ml == pytest.approx(999 * flat.reference_ml)
    missed = measure(np.expand_dims(reference, axis), np.zeros(np.insert((30, 40), axis, 1), bool),
                     np.insert(spacing, axis, 999.0))
    assert missed.hd95_mm == image_diagonal((30, 40), spacing)


def test_surface_is_by_faces_and_the_edge_of_the_image_counts():
    assert surface(box((5, 5, 5), (0, 3), (1, 4), (1, 4))).sum() == 26  # all of 27 but the middle
    plus = box((5, 5), (2, 3), (1, 4)) | box((5, 5), (1, 4), (2, 3))
    assert np.array_equal(surface(plus), plus ^ box((5, 5), (2, 3), (2, 3)))


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="Received"):
        measure(VOXEL, VOXEL[1:], (1, 1, 1))
    with pytest.raises(ValueError, match="Received"):
        directed_distances(VOXEL, VOXEL, (1, 1))


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: row["name"])
def test_agrees_with_monai(row):
    """MONAI's percentile, surface and surface Dice are ours: `percentile=95`, `symmetric=True`, thresholds of 1."""
    count = int(np.prod(row["shape"]))
    masks = [np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=count).reshape(row["shape"]) > 0
             for text in row["masks"]]
    result = measure(*masks, row["spacing"])
    assert (result.dice, result.hd95_mm, result.asd_mm, result.nsd_1mm) == pytest.approx(
        (row["dice"], row["hd95_mm"], row["asd_mm"], row["nsd_1mm"]), abs=TOLERANCE)


def simpleitk(reference, prediction, spacing):
    """The straightforward way with SimpleITK: contour, signed distance map of the contour, percentiles."""
    images = []
    for mask in (reference, prediction):
        image = sitk.GetImageFromArray(np.pad(mask, 1).transpose(2, 1, 0).astype(np.uint8))
        image.SetSpacing([float(s) for s in spacing])
        images.append(image)
    contours = [sitk.LabelContour(image) for image in images]
    maps = [np.abs(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(contour, squaredDistance=False,
                                                                       useImageSpacing=True))) for contour in contours]
    on = [sitk.GetArrayFromImage(contour) > 0 for contour in contours]
    forth, back = maps[1][on[0]], maps[0][on[1]]
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*images)
    return {"dice": overlap.GetDiceCoefficient(), "hd95_mm": max(np.percentile(forth, 95), np.percentile(back, 95)),
            "asd_mm": np.concatenate([forth, back]).mean(), "hd_mm": hausdorff.GetHausdorffDistance()}


def assert_agrees_with_simpleitk(reference, prediction, spacing):
    expected, ours = simpleitk(reference, prediction, spacing), measure(reference, prediction, spacing)
    assert (ours.dice, ours.hd95_mm, ours.asd_mm) == pytest.approx(
        (expected["dice"], expected["hd95_mm"], expected["asd_mm"]), abs=TOLERANCE)
    return expected, max(d.max() for d in directed_distances(reference, prediction, spacing))


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: row["name"])
def test_agrees_with_simpleitk_on_the_golden_shapes(row):
    count = int(np.prod(row["shape"]))
    masks = [np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=count).reshape(row["shape"]) > 0
             for text in row["masks"]]
    assert_agrees_with_simpleitk(*masks, row["spacing"])


def overlay_corner(mask, shape):
    """A mask put into the low corner of a larger or smaller image."""
    out = np.zeros(shape, bool)
    window = tuple(slice(0, min(a, b)) for a, b in zip(mask.shape, shape, strict=True))
    out[window] = mask[window]
    return out


@pytest.mark.parametrize("pair", [("001", "003"), ("004", "006"), ("007", "008")])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.7, 1.1, 2.5)])
def test_agrees_with_simpleitk_on_hippocampi(real_data, pair, spacing):
    folder = real_data / "Task04_Hippocampus" / "labelsTr"
    reference, other = (geometry.read(folder / f"hippocampus_{case}.nii.gz", label=True).data for case in pair)
    for value in (1, 2):
        prediction = overlay_corner(other == value, reference.shape)
        _, hausdorff = assert_agrees_with_simpleitk(reference == value, prediction, spacing)
        shifted = np.roll(reference == value, 1, 2)
        expected, hausdorff = assert_agrees_with_simpleitk(reference == value, shifted, spacing)
        assert hausdorff == pytest.approx(expected["hd_mm"], abs=TOLERANCE)


def test_agrees_with_simpleitk_on_brats(real_data):
    path = next(iter(sorted((real_data / "BraTS2015_sample").glob("*/*_seg.nii.gz"))))
    volume = geometry.read(path, label=True)
    reference = volume.data > 0
    prediction = np.roll(reference & (volume.data != 4), (2, -1, 1), (0, 1, 2))
    assert_agrees_with_simpleitk(reference, prediction, volume.spacing)
