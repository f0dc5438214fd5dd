"""DICOM segmentations lie where the label map lies, and name what they belong to."""

import json
import shutil
import zipfile
from pathlib import Path

import dicom_forms as forms
import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from inference.calibrated import add_calibration
from inference.series import write_dicom
from pocketnet.cli.infer import main
from pocketnet.evaluation.statement.apply import Statement
from pocketnet.inference import batch
from pocketnet.inference.predictor import Predictor
from pocketnet.inference.results import Wanted

SERIES = "1.2.826.0.1.3680043.8.498.1"


def infer(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments), "--dicom-seg"])


@pytest.fixture
def dicom(real_data, tmp_path):
    """The real CT as a series of its 30 slices, turned so that its axes are the patient's no more."""
    image = sitk.ReadImage(str(real_data / "CT_abdomen_sample" / "ct.nii.gz"))
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.2, -0.1, 0.3)
    direction = np.array(turn.GetMatrix()).reshape(3, 3) @ np.array(image.GetDirection()).reshape(3, 3)
    image.SetDirection(direction.ravel())
    sitk.WriteImage(image, str(tmp_path / "turned.nii.gz"))
    return write_dicom(tmp_path / "turned.nii.gz", tmp_path / "series", SERIES)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_it_says_what_the_label_map_says(hippocampus_model, dicom, tmp_path, kind):
    source = dicom
    if kind == "zip":
        source = tmp_path / "series.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in dicom.iterdir():
                archive.write(path, path.name)
        model = hippocampus_model
    else:
        model = add_calibration(Path(shutil.copytree(hippocampus_model, tmp_path / "model")))
    ran = infer("--model", model, source, "-o", tmp_path / "out.nii.gz", "--json")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["cases"][0]["files"]["DICOM-SEG"] == str(tmp_path / "out.dcm")
    seg = highdicom.seg.segread(tmp_path / "out.dcm")
    assert seg.number_of_segments == 2
    assert [seg.get_segment_description(n).segment_label for n in (1, 2)] == ["Anterior", "Posterior part"]
    assert "InstitutionName" not in seg and "PatientComments" not in seg
    if (said := json.loads(ran.stdout)["cases"][0]["statement"]) is None:
        assert kind == "zip" and "ImageComments" not in seg
    else:  # a CT is unlike the images that the network was trained on
        lines = seg.ImageComments.splitlines()
        assert lines == Statement.of_json(said).lines() and lines[0] == "LOOK" and "the image is unlike" in lines[-1]
        assert [f"{one.SegmentLabel}: {one.SegmentDescription}" for one in seg.SegmentSequence] == lines[1:3]
    slices = [pydicom.dcmread(path, stop_before_pixels=True) for path in dicom.iterdir()]
    assert seg.StudyInstanceUID == slices[0].StudyInstanceUID and seg.PatientID == slices[0].PatientID
    assert seg.FrameOfReferenceUID == slices[0].FrameOfReferenceUID
    assert {uid for _, series, uid in seg.get_source_image_uids() if series == SERIES} == {
        one.SOPInstanceUID for one in slices}

    expected = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    volume = seg.get_volume(combine_segments=True)
    found = sitk.GetImageFromArray(volume.array.astype(np.uint8))
    affine = np.asarray(volume.affine)  # of (slice, row, column), in the patient's LPS
    columns = affine[:3, [2, 1, 0]]
    spacing = np.linalg.norm(columns, axis=0)
    found.SetSpacing(spacing.tolist())
    found.SetDirection((columns / spacing).ravel().tolist())
    found.SetOrigin(affine[:3, 3].tolist())
    at_labels = sitk.Resample(found, expected, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    a, b = sitk.GetArrayFromImage(at_labels), sitk.GetArrayFromImage(expected)
    assert (b > 0).any() and set(np.unique(b)) == set(np.unique(a))
    np.testing.assert_array_equal(a, b)


def test_empty_segmentations_are_written_too(hippocampus_model, tmp_path, real_data):
    image = sitk.ReadImage(str(real_data / "CT_abdomen_sample" / "ct.nii.gz")) * 0
    image[0, 0, 0] = 1  # a constant image is refused
    sitk.WriteImage(image, str(tmp_path / "empty.nii.gz"))
    series = write_dicom(tmp_path / "empty.nii.gz", tmp_path / "series")
    ran = infer("--model", hippocampus_model, series, "-o", tmp_path / "out.nii.gz")
    assert ran.exit_code == 0, ran.output
    if not np.asarray(nib.load(tmp_path / "out.nii.gz").dataobj).any():
        assert not highdicom.seg.segread(tmp_path / "out.dcm").pixel_array.any()


def test_an_image_that_is_no_series_is_refused(hippocampus_model, image, tmp_path):
    ran = infer("--model", hippocampus_model, image, "-o", tmp_path / "out.nii.gz")
    assert ran.exit_code == 3 and "refers to a DICOM series, which this image is not" in ran.stderr
    assert not list(tmp_path.glob("out*"))


def test_the_label_map_is_there_even_if_its_segmentation_cannot_be_written(hippocampus_model, tmp_path):
    series = forms.write(tmp_path / "series", forms.slices())
    predictor = Predictor.load(hippocampus_model)
    out = tmp_path / "out.nii.gz"

    def lose_a_slice(windows):
        (series / "IM0005").unlink()
        return iter(windows)

    done = batch.segment_cases(predictor, {"series": [series]}, out, single=True, again=False,
                               wanted=Wanted(extras=False, dicom_seg=True), follow=lambda case: lose_a_slice)
    assert done.exit_codes == {3} and "about 1 slice is missing" in done.problems[0]
    assert nib.load(out).shape == (forms.COLUMNS, forms.ROWS, forms.SLICES)
    assert not (tmp_path / "out.dcm").exists()
