"""In what an image is unlike the training images: the figure and the range, and no warning about sound images."""

from __future__ import annotations

import json
from pathlib import Path

import made
import numpy as np
import pytest
from pocketnet.contracts.provenance import Provenance
from pocketnet.contracts.ranges import Spread
from pocketnet.planning.ranges import training_ranges
from pocketnet.preprocessing import ranges
from pocketnet.preprocessing.scan import read_scan, scan_of

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = REPOSITORY / "models/hippocampus/fold1"
SPLITS = REPOSITORY / "docs/results/hippocampus-best-members/splits.json"
SHIPPED = Provenance.read(FOLDER / "provenance.json").ranges


def fingerprint(intensities, modality="MRI", shape=(40, 50, 30), spacing=(1, 1, 2)):
    """Training cases of one modality, given their (p0.5, median, p99.5); mean and SD follow from these."""
    return made.fingerprint({f"case_{number}": {"shape": list(shape), "spacing_mm": list(spacing), "intensities": [
        {"modality": modality, "mean": median, "std": (high - low) / 4, "minimum": low, "maximum": high, "p0_5": low,
         "median": median, "p99_5": high, "voxels": 9, "sample": []}]}
        for number, (low, median, high) in enumerate(intensities)})


def of(intensities, modality="MRI", **more):
    found = fingerprint(intensities, modality, **more)
    return training_ranges(found, list(found.cases), [modality])


MR = of([(10 + n, 200 + n, 500 + 5 * n) for n in range(40)])
CT = of([(-1000 - n, -50 + n, 300 + n) for n in range(40)], modality="CT")


def test_the_ranges_of_training_cases_only():
    found = fingerprint([(1, 2, 3), (2, 3, 5), (3, 4, 6), (900, 1000, 5000)])
    made_of = training_ranges(found, ["case_0", "case_1", "case_2"], ["MRI"])
    assert made_of.cases == 3
    assert made_of.spacing_mm == (Spread(1, 1, 1), Spread(1, 1, 1), Spread(2, 2, 2))
    assert made_of.extent_mm[2] == Spread(60, 60, 60)
    modality = made_of.intensities[0]
    assert (modality.p0_5, modality.median, modality.p99_5) == (Spread(1, 2, 3), Spread(2, 3, 4), Spread(3, 5, 6))
    assert (modality.low.minimum, modality.low.maximum) == (-2, pytest.approx(-4 / 3))


def measured(low, median, high, mean=None, std=None):
    return ranges.Measured(median if mean is None else mean, (high - low) / 4 if std is None else std, low, median,
                           high)


@pytest.mark.parametrize(("seen", "found", "words"), [
    (MR, measured(5, 180, 450), ""), (MR, measured(150, 260, 850), "0.5th percentile 150 (in training 10 to 49)"),
    (MR, measured(-1000, 220, 600), "0.5th percentile -1,000 (in training 10 to 49)"),
    (MR, measured(0.001, 0.4, 1), "median 0.4 (in training 200 to 239)"),
    (MR, measured(30, 220, 60000), "99.5th percentile 60,000 (in training 500 to 695)"),
    (MR, measured(20, 210, 600, mean=100, std=50), "99.5th percentile 10 standard deviations from the mean"),
    (CT, measured(-1024, 20, 400), ""), (CT, measured(-3024, -1000, 400), "0.5th percentile -3,024"),
    (CT, measured(1, 1050, 1400), "0.5th percentile 1 (in training -1,039 to -1,000)")])
def test_intensities(seen, found, words):
    said = ranges.unlike_in_intensity(seen, [found])
    assert len(said) == bool(words) and words in "".join(said)
    assert not said or said[0].startswith(f"{seen.intensities[0].modality}: intensities unlike those of the 40")


@pytest.mark.parametrize(("shape", "spacing", "words"), [
    ((40, 50, 30), (1, 1, 2), []), ((44, 46, 27), (1.1, 0.9, 2.2), []),
    ((40, 50, 30), (1, 1, 3), ["voxel spacing unlike that of the 40 training images: 1 × 1 × 3 mm (in training 1 × 1 × "
                               "2 mm)", "field of view"]),
    ((40, 80, 30), (1, 1, 2), ["field of view unlike that of the 40 training images: 40 × 80 × 60 mm (in training 40 × "
                               "50 × 60 mm)"]),
    ((20, 50, 30), (1, 1, 2), ["field of view"])])
def test_geometry(shape, spacing, words):
    said = ranges.unlike_in_geometry(MR, shape, spacing)
    assert len(said) == len(words) and all(one in text for one, text in zip(words, said, strict=True))


def test_fewer_cases_show_less_and_a_larger_picture_loses_nothing():
    seen, pictures = Spread(1, 2, 4), of([(1, 100, 250)], shape=(40, 50), spacing=(1, 1))
    few, many = (ranges.limits(seen, cases, 1.25) for cases in (3, 300))
    assert few[0] < many[0] < 0.8 and few[1] > many[1] > 5
    assert not ranges.too_small(pictures, (4000, 5000)) and ranges.too_small(pictures, (40, 20))
    assert ranges.limits(Spread(1e-300, 1, 1e300), 1, 1.25)[1] == np.inf


def test_several_networks_have_seen_what_each_has():
    both = ranges.joined([MR, of([(1, 20, 50)], shape=(90, 50, 30))])
    assert both.cases == 40 and both.extent_mm[0] == Spread(40, 65, 90)
    assert both.intensities[0].p99_5 == Spread(50, 323.75, 695)


def test_a_large_image_is_measured_by_a_sample():
    image = np.random.default_rng(1).normal(100, 10, (300, 200, 90)).astype(np.float32)
    found, whole = ranges.measure_channel(scan_of(image[..., None], (1, 1, 1)).channels[0]), ranges.measure(image)
    for name in ("mean", "std", "p0_5", "median", "p99_5"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), rel=0.02)
    assert ranges.measure(np.zeros((3, 3))) == ranges.Measured(0, 0, 0, 0, 0)


def findings(scan):
    return [*ranges.unlike_in_intensity(SHIPPED, [ranges.measure_channel(scan.channels[0])]),
            *ranges.unlike_in_geometry(SHIPPED, scan.shape, scan.spacing)]


def test_the_shipped_network_warns_of_no_test_case(hippocampus_data):
    fold = json.loads(SPLITS.read_text())["folds"][1]
    assert SHIPPED.cases == len(fold["train"]) == 166
    warned = {case: said for case in fold["test"]
              if (said := findings(read_scan(hippocampus_data / f"imagesTr/{case}.nii.gz")))}
    assert len(fold["test"]) == 46 and not warned


def test_the_shipped_network_warns_of_other_images(hippocampus_data, real_data):
    scan = read_scan(hippocampus_data / "imagesTr/hippocampus_003.nii.gz")
    image = scan.read(np.s_[:, :, :])
    head = read_scan(next((real_data / "BraTS-GLI_unlabelled").glob("*/*t2w.nii.gz")))
    ct = read_scan(real_data / "CT_abdomen_sample/ct.nii.gz")
    for what, other, words in (
            ("spacing", scan_of(image, (1.4, 1.4, 1.4)), "voxel spacing"),
            ("scale", scan_of(image / image.max(), (1, 1, 1)), "intensities"),
            ("a head", head, "field of view"), ("CT", ct, "intensities"),
            ("a part of a head", scan_of(head.read(np.s_[100:135, 90:140, 60:95]), (1, 1, 1)), "intensities"),
            ("a part of a CT", scan_of(ct.read(np.s_[40:75, 30:80, :30]), (1, 1, 1)), "intensities")):
        assert words in " ".join(findings(other)), what
