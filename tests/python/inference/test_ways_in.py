"""The shipped network on images in odd forms and folders: what is segmented, what is refused, what is told."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from pocketnet import Predictor
from pocketnet.cli.infer import main
from pocketnet.errors import DataError, UsageError
from pocketnet.evaluation.metrics import dice
from pocketnet.inference import volumes_table
from pocketnet.inference.cases import group
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.scan import read_scan

MODEL = Path(__file__).resolve().parents[3] / "models/hippocampus/fold1"
SHEAR = np.array([[1, 0.1, 0, 0], [0, 1, 0.05, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def infer(*arguments, code=0):
    ran = CliRunner().invoke(main, ["--model", str(MODEL), *map(str, arguments), "--json"])
    assert ran.exit_code == code, ran.output
    return (json.loads(ran.stdout) if ran.stdout else {}), ran.stderr


def table(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load(MODEL)


@pytest.fixture(scope="module")
def plain(hippocampus_data, tmp_path_factory, predictor):
    """A block of a real image with both forms, and its label map (x, y, z) in RAS+."""
    image = nib.as_closest_canonical(nib.load(hippocampus_data / "imagesTr" / "hippocampus_003.nii.gz"))
    made = nib.Nifti1Image(np.asarray(image.dataobj)[4:28, 10:42, 4:28].astype(np.int16), image.affine)
    made.header.set_xyzt_units("mm", "sec")
    made.set_qform(image.affine, 1)
    made.set_sform(image.affine, 1)
    classes = np.asarray(predictor(made).dataobj)
    assert (classes == 1).sum() > 300
    return made, classes


def two_poses(image):
    image.set_sform(image.affine @ SHEAR, 4)


def micron(image):
    image.header.set_xyzt_units("micron", "sec")
    for put in (image.set_qform, image.set_sform):
        put(np.diag([1000, 1000, 1000, 1]) @ nib.as_closest_canonical(image).affine, 1)


ODD = {"two poses": two_poses, "micron": micron}


@pytest.mark.parametrize("form", ["two poses", "micron", "reoriented", "scaled", "nrrd"])
def test_an_odd_form_gives_the_segmentation_of_the_plain_one(plain, predictor, tmp_path, form):
    image, classes = plain
    path = tmp_path / f"image.{form if form == 'nrrd' else 'nii.gz'}"
    odd = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    if form in ODD:
        ODD[form](odd)
    elif form == "reoriented":
        odd = odd.as_reoriented(nib.orientations.axcodes2ornt("PSL"))
    elif form == "scaled":
        odd = nib.Nifti1Image(np.asarray(odd.dataobj) * 0.25, odd.affine, odd.header, dtype=np.int16)
    if form == "nrrd":
        geometry.write_image(path, np.asarray(odd.dataobj), geometry.Grid(odd.shape, odd.affine))
    else:
        nib.save(odd, path)
    found = predictor.segment_files(path, tmp_path / "out.nii.gz")
    for value in (1, 2):
        assert dice(found == value, classes == value) >= 0.99
    if form != "nrrd":
        written, read = nib.load(tmp_path / "out.nii.gz"), nib.load(path)
        assert all(np.array_equal(written.header[name], read.header[name]) for name in (
            "srow_x", "quatern_b", "qoffset_x", "qform_code", "sform_code", "pixdim", "xyzt_units"))


def test_one_file_without_codes_gives_one_segmentation_by_every_way_in(plain, predictor, tmp_path):
    image = nib.Nifti1Image(np.asarray(plain[0].dataobj), plain[0].affine, plain[0].header)
    image.header["qform_code"] = image.header["sform_code"] = 0
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), tmp_path / "image.nii.gz")
    with pytest.warns(UserWarning, match="says no orientation") as told:
        predictor.segment_files(tmp_path / "image.nii.gz", tmp_path / "out.nii.gz")
        of_nibabel = predictor(nib.load(tmp_path / "image.nii.gz"))
        of_simpleitk = predictor(sitk.ReadImage(str(tmp_path / "image.nii.gz")))
    assert len([one for one in told if "orientation" in str(one.message)]) == 3
    written = nib.load(tmp_path / "out.nii.gz")
    assert written.header["qform_code"] == written.header["sform_code"] == 0
    expected = np.asarray(written.dataobj)
    np.testing.assert_array_equal(np.asarray(of_nibabel.dataobj), expected)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(of_simpleitk).T, expected)
    assert of_simpleitk.GetOrigin() == sitk.ReadImage(str(tmp_path / "image.nii.gz")).GetOrigin()


def test_every_way_in_warns_of_what_the_network_was_not_trained_on(plain, predictor, tmp_path):
    """An image of another scale, spacing and field of view: the same warnings in memory, of a file, in the table."""
    image = nib.Nifti1Image(np.asarray(plain[0].dataobj) / np.float32(5000), np.diag([3.0, 3, 3, 1]))
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(image.affine, 1)
    image.set_sform(image.affine, 1)
    nib.save(image, tmp_path / "odd.nii.gz")
    said = infer(tmp_path / "odd.nii.gz", "-o", tmp_path / "out")
    expected = said[0]["cases"][0]["warnings"]
    assert [text.split(" unlike")[0] for text in expected] == ["MRI: intensities", "voxel spacing", "field of view"]
    assert "3 × 3 × 3 mm (in training 1 × 1 × 1 mm)" in expected[1]
    assert all(f"Warning: odd: {text}" in said[1] for text in expected)
    assert table(tmp_path / "out/volumes.csv")[0]["warnings"] == " | ".join(expected)
    data = np.asarray(nib.as_closest_canonical(image).dataobj)
    for way in (lambda: predictor(image), lambda: predictor(sitk.ReadImage(str(tmp_path / "odd.nii.gz"))),
                lambda: predictor(data, spacing=(3, 3, 3)),
                lambda: predictor.segment_files(tmp_path / "odd.nii.gz", tmp_path / "x.nii.gz")):
        with pytest.warns(UserWarning) as told:
            way()
        assert [str(one.message) for one in told] == expected
    with pytest.warns(UserWarning) as told:
        predictor(data)  # its spacing is unknown
    assert [str(one.message) for one in told] == expected[:1]
    older = Predictor([dataclasses.replace(predictor.model, provenance=dataclasses.replace(
        predictor.model.provenance, ranges=None))])
    assert older.findings(read_scan(image)) == []


def rgb():
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return nib.Nifti1Image(np.zeros((8, 8, 8), kind), np.eye(4))


def complex_numbers():
    return nib.Nifti1Image(np.full((8, 8, 8), np.nan + 1j, np.complex64), np.eye(4))


@pytest.mark.parametrize(("image", "words"), [
    (rgb, "found RGB colours"), (complex_numbers, "found complex64"),
    (lambda: nib.Nifti1Image(np.full((8, 8, 8), 5.0), np.eye(4)), "empty image: every voxel is 5"),
    (lambda: nib.Nifti1Image(np.linspace(1, 1e300, 512).reshape(8, 8, 8), np.eye(4)), "infinite"),
    (lambda: nib.Nifti1Image(np.ones((8, 8, 0)), np.eye(4)), "at least one voxel"),
    (lambda: nib.Nifti1Image(np.arange(512.0).reshape(8, 8, 8), np.diag([1, 1e-12, 1, 1])), "singular"),
    (lambda: nib.Nifti1Image(np.arange(1024.0).reshape(8, 8, 8, 2), np.eye(4)), "Expected a 3D volume"),
    (lambda: np.full((8, 8, 8), 5.0), "empty image"), (lambda: np.full((8, 8, 8), "a"), "Expected numbers"),
    (lambda: np.ones((8, 8, 8), complex), "Expected numbers"), (lambda: np.ones((8, 0, 8)), "Expected an array"),
    (lambda: sitk.Image(8, 8, 8, sitk.sitkVectorUInt8), "Expected numbers"),
    (lambda: sitk.Image([8, 8, 8], sitk.sitkFloat32), "empty image"), (lambda: 3, "found int")])
def test_what_is_refused_in_memory(predictor, image, words):
    with pytest.raises(DataError, match=words):
        predictor(image())


@pytest.mark.parametrize(("image", "words"), [
    (rgb, "found RGB colours"), (complex_numbers, "found complex64"),
    (lambda: nib.Nifti1Image(np.full((8, 8, 8), 5, np.uint8), np.eye(4)), "empty image: every voxel is 5")])
def test_what_is_refused_from_a_file(predictor, tmp_path, image, words):
    nib.save(image(), tmp_path / "image.nii.gz")
    with pytest.raises(DataError, match=words):
        predictor.segment_files(tmp_path / "image.nii.gz", tmp_path / "out.nii.gz")
    assert not (tmp_path / "out.nii.gz").exists()


def test_spacing_and_output_of_the_predictor(predictor, plain, tmp_path):
    for spacing in ((1, 1), (1, 0, 1), (1, np.nan, 1)):
        with pytest.raises(UsageError, match="three positive numbers"):
            predictor(np.asarray(plain[0].dataobj), spacing=spacing)
    nib.save(plain[0], tmp_path / "image.nii.gz")
    for output, words in (("image.nii.gz", "overwrite an input"), ("seg.gif", "no suffix of an image"),
                          ("seg.tiff", "one slice; the result has 24 × 32 × 24 voxels")):
        with pytest.raises(UsageError, match=words):
            predictor.segment_files([tmp_path / "image.nii.gz"], tmp_path / output)
    predictor.segment_files([tmp_path / "image.nii.gz"], tmp_path / "x.mha")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "x.mha"))).T, plain[1])


@pytest.fixture
def scans(plain, tmp_path):
    """A folder of odd things: four images to segment, a damaged one, and much that is no image."""
    folder, away = tmp_path / "p" / "scans", tmp_path / "away"
    for one in (folder / "sub-01", folder / "dicom", away):
        one.mkdir(parents=True)
    image = nib.Nifti1Image(np.asarray(plain[0].dataobj), plain[0].affine)
    nib.save(image, folder / "sub-01" / "T1.nii")
    content = (folder / "sub-01" / "T1.nii").read_bytes()
    (folder / "UPPER.NII.GZ").write_bytes(gzip.compress(content) + b"garbage")
    geometry.write_image(folder / "other.nrrd", np.asarray(image.dataobj), geometry.Grid(image.shape, image.affine))
    (folder / "broken.nii.gz").write_bytes(gzip.compress(content)[:300])
    (away / "T1.nii").write_bytes(content)
    (folder / "sub-02").symlink_to(away)
    (folder / "sub-01" / "loop").symlink_to(folder)
    (folder / "lost.nii.gz").symlink_to(".git/annex/none")
    (folder / "notes.txt").symlink_to("nowhere.txt")
    for name in ("T1.json", "table.tsv", ".DS_Store"):
        (folder / name).touch()
    (folder / "dicom" / "1.dcm").write_bytes(bytes(128) + b"DICM")
    os.mkfifo(folder / "pipe.nii")
    return folder


def test_a_folder_is_segmented_whole_and_says_what_it_leaves_out(scans, monkeypatch):
    """Also with the output above the input, and in two calls: the table has the cases of both."""
    monkeypatch.chdir(scans.parent)
    infer("scans/sub-01/T1.nii", "-o", ".")
    told, said = infer("scans", "-o", ".", "--no-uncertainty", code=3)
    assert [case["case"] for case in told["cases"]] == ["UPPER", "other", "sub-01/T1", "sub-02/T1"]
    failed = "\n".join(told["failed"])
    assert len(told["failed"]) == 3 and "lost.nii.gz: this is a link to .git/annex/none" in failed
    assert "broken: The gzip stream ends too early" in failed and "pipe: This is not an ordinary file" in failed
    left_out = "\n".join(told["left_out"])
    for words in ("1 .json file: T1.json", "1 .tsv file", "1 hidden file: .DS_Store", "1 looping link: sub-01/loop",
                  "1 dangling link: notes.txt"):
        assert words in left_out and words in said
    assert told["cases"][0]["warnings"] == ["7 bytes follow the end of the gzip stream; they are ignored"]
    assert "Warning: UPPER: 7 bytes follow" in said
    rows = table("volumes.csv")
    assert list(dict.fromkeys(row["case"] for row in rows)) == ["T1", "UPPER", "other", "sub-01/T1", "sub-02/T1"]
    assert [row["warnings"] for row in rows if row["case"] == "UPPER"] == told["cases"][0]["warnings"] * 2
    again, _ = infer("scans/UPPER.NII.GZ", "-o", ".")
    assert again["cases"][0]["skipped"] and again["cases"][0]["warnings"] == told["cases"][0]["warnings"]
    assert table("volumes.csv") == rows


def test_the_output_has_the_suffix_that_is_asked_for(scans, tmp_path):
    told, _ = infer(scans / "other.nrrd", "-o", tmp_path / "seg.nrrd")
    assert (tmp_path / "seg.nrrd").is_file() and not told["cases"][0]["skipped"]
    image, made = (sitk.ReadImage(str(path)) for path in (scans / "other.nrrd", tmp_path / "seg.nrrd"))
    assert made.GetSize() == image.GetSize() and made.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_allclose(made.GetOrigin(), image.GetOrigin())
    assert infer(scans / "other.nrrd", "-o", tmp_path / "seg.nrrd")[0]["cases"][0]["skipped"]
    _, said = infer(scans / "T1.json", "-o", tmp_path / "out", code=3)
    assert "another format" in said and ".nrrd" in said and ".mgz" in said


def test_names_too_long_and_names_that_clash(scans, tmp_path):
    long = scans.parent / f"{'x' * 240}.nii"
    shutil.copy(scans / "sub-01" / "T1.nii", long)
    shutil.copy(scans / "sub-01" / "T1.nii", scans.parent / "y.nii")
    told, said = infer(long, scans / "UPPER.NII.GZ", "-o", tmp_path / "out", "--probabilities", code=3)
    assert [case["case"] for case in told["cases"]] == ["UPPER"] and "too long for this file system" in said
    shutil.copy(scans.parent / "y.nii", scans.parent / "y_probability_1.nii")
    (scans.parent / "y_probability_1.nii").rename(scans.parent / "y_probability_1.mha.nii")
    shutil.copy(scans / "UPPER.NII.GZ", scans.parent / "y_probability_1.nii.gz")
    _, said = infer(scans.parent / "y.nii", scans.parent / "y_probability_1.nii.gz", "-o", tmp_path / "two",
                    "--probabilities", code=2)
    assert "would have the same name" in said and not list((tmp_path / "two").glob("*.nii*"))


def test_a_case_is_named_by_its_folders_whatever_its_format(tmp_path):
    for name in ("sub-01/ct.zip", "sub-02/ct.zip"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"PK\x03\x04")
    assert list(group([tmp_path], ["CT"]).cases) == ["sub-01/ct", "sub-02/ct"]
    for name in ("pair.hdr", "pair.img", "meta.mhd", "meta.raw", "alone.img"):
        (tmp_path / name).touch()
    found = group([tmp_path], ["CT"])
    assert list(found.cases) == ["meta", "pair"]
    assert found.left_out == ["left out: 1 .img file: alone.img",
                              "left out: 2 DICOM series beside images: sub-01/ct.zip, sub-02/ct.zip"]


def _add(path, name):
    volumes_table.update(path, {name: {"a": {"value": 1, "voxels": 2, "volume_ml": 0.5}}}, {name: ["odd"]})


def test_parallel_calls_lose_no_row(tmp_path):
    path = tmp_path / "volumes.csv"
    context = multiprocessing.get_context("fork")
    calls = [context.Process(target=_add, args=(path, f"case_{index:02d}")) for index in range(24)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert {call.exitcode for call in calls} == {0}
    _add(path, "case_03")
    rows = table(path)
    assert [row["case"] for row in rows] == [f"case_{index:02d}" for index in range(24)]
    assert rows[0] == {"case": "case_00", "label": "a", "value": "1", "voxels": "2", "volume_ml": "0.5",
                       **dict.fromkeys(volumes_table.STATEMENT, ""),
                       "warnings": "odd"}
