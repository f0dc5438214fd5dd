"""Single slices in every layout: PNG, TIFF and JPEG images with label images give the same cases."""

import json

import numpy as np
import pytest
from PIL import Image
from pocketnet.datasets import check, presets
from pocketnet.evaluation.cases import prediction_path, read_pair
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.scan import read_scan

CASES = ("a", "b", "c")
CLASSES = "cell=1,wall=2"


def images(case):
    """Grey values (row, column) and labels of a case."""
    rng = np.random.default_rng(ord(case))
    labels = np.repeat(np.repeat(rng.integers(0, 3, (4, 6)), 5, axis=0), 5, axis=1).astype(np.uint8)
    return (40 + 60 * labels + rng.integers(0, 30, labels.shape)).astype(np.uint8), labels


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def index(folder, **content):
    (folder / "dataset.json").write_text(json.dumps(content))


def nnunet(folder, ending, colours=False):
    for case in CASES:
        grey, labels = images(case)
        save(folder / f"imagesTr/{case}_0000{ending}", np.stack([grey, 255 - grey, grey], axis=-1) if colours else grey)
        save(folder / f"labelsTr/{case}{ending}", labels)
    channels = {"0": "R", "1": "G", "2": "B"} if colours else {"0": "grey"}
    index(folder, channel_names=channels, labels={"background": 0, "cell": 1, "wall": 2}, numTraining=3,
          file_ending=ending, overwrite_image_reader_writer="NaturalImage2DIO")


def decathlon(folder, ending):
    for case in CASES:
        grey, labels = images(case)
        save(folder / f"imagesTr/{case}{ending}", grey)
        save(folder / f"labelsTr/{case}{ending}", labels)
    index(folder, modality={"0": "grey"}, labels={"0": "background", "1": "cell", "2": "wall"}, training=[
        {"image": f"./imagesTr/{case}{ending}", "label": f"./labelsTr/{case}{ending}"} for case in CASES])


def table(folder, ending, label=".png"):
    lines = ["case,grey,label"]
    for case in CASES:
        grey, labels = images(case)
        save(folder / f"{case}{ending}", grey)
        save(folder / f"{case}_label{label}", labels)
        lines.append(f"{case},{case}{ending},{case}_label{label}")
    (folder / "dataset.csv").write_text("\n".join(lines))


def folders(folder, ending):
    for case in CASES:
        grey, labels = images(case)
        save(folder / f"{case}/{case}_grey{ending}", grey)
        save(folder / f"{case}/{case}_seg{ending}", labels)


def bids(folder, ending):
    (folder / "dataset_description.json").write_text(json.dumps({"Name": "slices", "BIDSVersion": "1.7.0"}))
    for case in CASES:
        grey, labels = images(case)
        save(folder / f"sub-{case}/micr/sub-{case}_SEM{ending}", grey)
        save(folder / f"derivatives/manual/sub-{case}/micr/sub-{case}_dseg{ending}", labels)


def checked(folder, dataset, labels=None, **options):
    preset = presets.load(dataset)
    if dataset == "bids":
        from dataclasses import replace
        preset = replace(preset, bids={"labels_from": "derivatives/manual"})
    return check.check(folder, preset, label_set=labels, **options)


@pytest.mark.parametrize("make, dataset, ending, labels", [
    (nnunet, "nnunet", ".png", None), (nnunet, "nnunet", ".tif", None), (decathlon, "decathlon", ".png", None),
    (decathlon, "decathlon", ".TIFF", None), (table, "csv", ".png", CLASSES), (table, "csv", ".tif", CLASSES),
    (folders, "folders", ".png", CLASSES), (bids, "bids", ".tif", CLASSES), (bids, "bids", ".png", CLASSES)])
def test_every_layout_gives_the_same_slices(tmp_path, make, dataset, ending, labels):
    make(tmp_path, ending)
    found = checked(tmp_path, dataset, labels)
    assert not found.problems and len(found.manifest.cases) == 3
    for case, entry in zip(CASES, found.manifest.cases, strict=True):
        grey, expected = images(case)
        scan = read_scan([tmp_path / name for name in entry.images])
        np.testing.assert_array_equal(geometry.from_ras(scan.channels[0].raw, scan.grid)[..., 0].T, grey)
        found_labels = geometry.read(tmp_path / entry.label, label=True)
        np.testing.assert_array_equal(geometry.from_ras(found_labels.data, found_labels.grid)[..., 0].T, expected)
    assert found.fingerprint.cases[entry.case].label_voxels == {
        "cell": (expected == 1).sum(), "wall": (expected == 2).sum()}


def test_jpeg_images_with_exact_labels(tmp_path):
    table(tmp_path, ".jpg")
    found = checked(tmp_path, "csv", CLASSES)
    assert not found.problems and found.fingerprint.summary.shape == (30, 20, 1)


def test_an_image_in_colours_is_one_file_with_channels(tmp_path):
    nnunet(tmp_path, ".png", colours=True)
    found = checked(tmp_path, "nnunet")
    assert not found.problems and found.manifest.modalities == ("R", "G", "B")
    assert found.manifest.cases[0].images == tuple(f"imagesTr/a_0000.png[{channel}]" for channel in range(3))
    scan = read_scan([tmp_path / name for name in found.manifest.cases[0].images])
    np.testing.assert_array_equal(scan.channels[1].raw, 255 - scan.channels[0].raw)


def test_channels_named_in_a_table(tmp_path):
    nnunet(tmp_path, ".png", colours=True)
    rows = [f"{case},imagesTr/{case}_0000.png[0],imagesTr/{case}_0000.png[1],labelsTr/{case}.png" for case in CASES]
    (tmp_path / "dataset.csv").write_text("\n".join(["case,red,green,label", *rows]))
    found = checked(tmp_path, "csv", CLASSES)
    assert not found.problems and found.manifest.modalities == ("red", "green")


def other_size(folder):
    save(folder / "a_label.png", images("a")[1][:-1])


def coloured_labels(folder):
    save(folder / "a_label.png", np.stack([images("a")[1], *[images("b")[1]] * 2], axis=-1))


def coloured_image(folder):
    save(folder / "a.png", np.stack([images("a")[0], *[images("b")[0]] * 2], axis=-1))


def pages(folder):
    grey = Image.fromarray(images("a")[0])
    grey.save(folder / "a.png", "TIFF", save_all=True, append_images=[grey])


def lossy_labels(folder):
    Image.fromarray(images("a")[1] * 100).save(folder / "a_label.png", "JPEG", quality=20)


@pytest.mark.parametrize("spoil, file, message", [
    (other_size, "a_label.png", "shape 30×19×1 differs from 30×20×1"),
    (coloured_labels, "a_label.png", r"found colours (RGB)"), (coloured_image, "a.png", r"found colours (RGB)"),
    (pages, "a.png", "found 2 pages"), (lossy_labels, "a_label.png", "unknown label")])
def test_what_cannot_be_used_is_a_problem_of_its_file(tmp_path, spoil, file, message):
    table(tmp_path, ".png")
    spoil(tmp_path)
    problems = checked(tmp_path, "csv", CLASSES).problems
    assert [problem.file for problem in problems] == [file] and problems[0].case == "a", problems
    assert message in problems[0].problem


def test_pictures_beside_volumes_are_no_images(tmp_path):
    import nibabel as nib

    folders(tmp_path, ".png")
    for case in CASES:
        grey, labels = images(case)
        for name, values in (("grey", grey), ("seg", labels)):
            nib.save(nib.Nifti1Image(values[..., None], np.eye(4)), tmp_path / f"{case}/{case}_{name}.nii.gz")
    found = checked(tmp_path, "folders", CLASSES)
    assert not found.problems and found.manifest.cases[0].images == ("a/a_grey.nii.gz",)


def test_predictions_as_images_are_evaluated(tmp_path):
    table(tmp_path, ".png")
    labels = checked(tmp_path, "csv", CLASSES).manifest.labels
    reference = geometry.read(tmp_path / "a_label.png", label=True)
    predictions = tmp_path / "predictions"
    geometry.write_image(predictions / "a.png", reference.data.astype(np.uint8), reference.grid)
    assert prediction_path([predictions], "a") == predictions / "a.png"
    true, found, _ = read_pair(tmp_path / "a_label.png", predictions / "a.png", labels)
    np.testing.assert_array_equal(true, found)
    geometry.write_image(predictions / "a.nii.gz", reference.data.astype(np.uint8), reference.grid)
    assert prediction_path([predictions], "a") == predictions / "a.nii.gz"  # the image beside it is a picture
