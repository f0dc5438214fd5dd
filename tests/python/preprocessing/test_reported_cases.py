"""The reported files themselves (`shared/cases`): voxels, place, volume and warnings, or the refusal.

The reported DICOM files are in `test_dicom_refused`, the label maps in `test_label_values`.
"""

from __future__ import annotations

import json
import shutil

import dicom_forms
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from pocketnet.contracts.labels import Label
from pocketnet.contracts.manifest import Manifest
from pocketnet.datasets import check, presets
from pocketnet.errors import DataError
from pocketnet.inference.cases import group
from pocketnet.inference.results import volumes
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.label_maps import map_labels
from pocketnet.preprocessing.scan import read_scan
from pocketnet.training import checkpoints
from pydicom.data import get_testdata_file

DISAGREE = "qform and sform disagree by up to"
WHOLE = {"01_qform_sform_differ/g01_q1_s4_differ.nii.gz": DISAGREE,
         "01_qform_sform_differ/g08_q1_and_sheared_s.nii.gz": DISAGREE,
         "01_qform_sform_differ/g17_rounded3_q_and_s.nii.gz": DISAGREE,
         "02_no_form_codes/g05_no_codes.nii.gz": "the header says no orientation", "03_units/g18_micron.nii.gz": "",
         "22_other_formats/g42_pair.hdr": None, "22_other_formats/g42_pair.img": None, "22_other_formats/g43.mgz": "",
         "22_other_formats/g44_itk.mha": "", "22_other_formats/g44_itk.nrrd": ""}
"""File, and the start of its only warning; an empty text for none, None for any."""
BLOCKS = {"04_upper_case_suffix/A.NII.GZ": "",
          "23_gzip_trailing_garbage/trailing_garbage.nii.gz": "bytes follow the end"}
GETTERS = (sitk.Image.GetSize, sitk.Image.GetSpacing, sitk.Image.GetOrigin, sitk.Image.GetDirection)


@pytest.fixture(scope="module")
def images(real_data):
    folder = real_data.parent / "cases" / "images"
    if not folder.is_dir():
        pytest.skip(f"no reported cases at {folder}")
    return folder


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_image(images, hippocampus_data, tmp_path, name):
    """The voxels are those of hippocampus_001, 1 mm; a label map lies on the image for nibabel and for SimpleITK."""
    plain = np.asarray(nib.load(hippocampus_data / "imagesTr/hippocampus_001.nii.gz").dataobj)
    scan, words = read_scan(images / name), WHOLE[name]
    found = scan.read(np.s_[:, :, :])[..., 0]
    np.testing.assert_array_equal(geometry.from_ras(found, scan.grid), plain)
    np.testing.assert_allclose(scan.spacing, 1, atol=0.11)  # the sheared and the scaled sform
    if words is not None:
        assert len(scan.warnings) == bool(words) and words in "".join(scan.warnings)
    if "g18" in name:
        labels = (found > 0).astype(np.uint8)
        [row] = volumes(labels, scan.spacing, [Label("bright", 1, (1,))]).values()
        assert row["volume_ml"] == labels.sum() / 1000
    if name.endswith(".nii.gz"):
        bright = (found > 80).astype(np.uint8)
        geometry.write_image(tmp_path / "labels.nii.gz", bright, scan.grid)
        image, made = nib.load(images / name), nib.load(tmp_path / "labels.nii.gz")
        np.testing.assert_array_equal(np.asarray(made.dataobj), plain > 80)
        for form in ("get_qform", "get_sform"):
            for a, b in zip(getattr(made, form)(coded=True), getattr(image, form)(coded=True), strict=True):
                np.testing.assert_array_equal(a, b)
        a, b = (sitk.ReadImage(str(path)) for path in (images / name, tmp_path / "labels.nii.gz"))
        for get in GETTERS:
            np.testing.assert_allclose(get(b), get(a), rtol=1e-6, atol=1e-6)
        sitk.LabelOverlay(sitk.Cast(a, sitk.sitkUInt8), b)  # refuses images of another physical space


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block(images, name):
    scan = read_scan(images / name)
    assert scan.shape == (27, 32, 27) and np.ptp(scan.read(np.s_[:, :, :])) > 0
    assert BLOCKS[name] in "".join(scan.warnings) and len(scan.warnings) == bool(BLOCKS[name])


@pytest.mark.parametrize(("name", "words"), [
    ("images/15_constant_image/constant5.nii.gz", "empty image: every voxel is 5"),
    ("security/vox_offset_infinite.nii", "Not a readable NIfTI"), ("security/axis_of_length_zero.nii", "one voxel")])
def test_what_is_refused(images, name, words):
    with pytest.raises(DataError, match=words):
        read_scan(images.parent / name)


def test_labels_above_32767(images):
    folder = images / "14_labels_above_32767" / "l01_labels_40000"
    found = check.check(folder, presets.load("decathlon"))
    assert not found.problems and {one for label in found.manifest.labels for one in label.source_values} == {
        40000, 50000}
    entry = json.loads((folder / "dataset.json").read_text())["training"][0]
    stored = np.asarray(nib.load(folder / entry["label"]).dataobj)
    mapped = map_labels(geometry.read(folder / entry["label"], label=True).data, found.manifest.labels)
    for label in found.manifest.labels:
        assert (mapped == label.value).sum() == (stored == label.source_values[0]).sum() > 100


def test_a_manifest_that_leads_out_of_the_output_is_refused(images):
    with pytest.raises(DataError, match=r'cases.0.case: found "..", expected one plain file name'):
        Manifest.read(images.parent / "security/manifest_case_above_the_output.json")


def test_a_checkpoint_with_a_renamed_member_is_not_resumed_from(images, tmp_path):
    shutil.copyfile(images.parent / "security/checkpoint_member_renamed.npz", tmp_path / "step-00000004.npz")
    said: list[str] = []
    assert checkpoints.latest(tmp_path, said.append) is None
    assert "step-00000004.npz: not a whole checkpoint" in said[0]


def test_a_dicomdir_above_the_series_is_no_bad_case(tmp_path):
    for patient in ("A", "B"):
        dicom_forms.write(tmp_path / patient / "S1", dicom_forms.slices())
    shutil.copyfile(get_testdata_file("DICOMDIR"), tmp_path / "DICOMDIR")
    found = group([tmp_path], ["CT"])
    assert list(found.cases) == ["A/S1", "B/S1"] and not found.problems
    assert found.left_out == ["left out: 1 file without suffix: DICOMDIR"]
