"""Input that cannot be used: told what was found and what was expected, with its exit code, and nothing is left."""

import gzip
import json
import shutil
import zipfile

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from inference.series import write_dicom
from pocketnet import Predictor, files
from pocketnet.cli.infer import main
from pocketnet.errors import DataError
from pocketnet.outputs import MARKER
from pocketnet.training.model_folder import write_checksums


def refused(out, *arguments, code=3):
    ran = CliRunner().invoke(main, [*map(str, arguments), "-o", str(out)])
    assert ran.exit_code == code, ran.output
    left = [path for path in out.parent.rglob("*") if path.is_file() and ("out" in path.name or ".part" in path.name)
            and path.name != MARKER]
    assert not out.exists() or not any(out.rglob("*")), list(out.rglob("*"))
    assert not left, left
    return ran.stderr


def rewrite(path, data, affine=None):
    image = nib.load(path)
    nib.save(nib.Nifti1Image(data, image.affine if affine is None else affine), path)


@pytest.fixture
def scan(image, tmp_path):
    (tmp_path / "scans").mkdir()
    return shutil.copy(image, tmp_path / "scans" / "scan.nii.gz")


@pytest.fixture
def pair(brats, tmp_path):
    """Two modalities of a real case, called as the model's are."""
    (tmp_path / "pair").mkdir()
    case = sorted(brats.iterdir())[0]
    return [shutil.copy(case / f"{case.name}_{source}.nii.gz", tmp_path / "pair" / f"case_0_{name}.nii.gz")
            for source, name in (("flair", "t1"), ("t1ce", "t2"))]


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def not_gzip(path):
    path.write_bytes(b"this is no image at all")


def wrong_checksum(path):
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


def cut_inside(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1000]))


def with_nan(path):
    data = np.asarray(nib.load(path).dataobj).astype(np.float32)
    data[3, 4, 5:8] = np.nan
    rewrite(path, data)


def two_volumes(path):
    data = np.asarray(nib.load(path).dataobj)
    rewrite(path, np.stack([data, data], axis=-1))


def flat(path):
    image = nib.load(path)
    image.header["srow_z"], image.header["sform_code"] = 0, 1
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), path)


@pytest.mark.parametrize("spoil, words", [
    (truncated, "ends too early"), (not_gzip, "Not a sound gzip file"), (wrong_checksum, "CRC check failed"),
    (cut_inside, "its header announces"), (with_nan, "3 voxels are NaN or infinite"),
    (two_volumes, "Expected a 3D volume, found shape"), (flat, "singular")])
def test_a_file_that_cannot_be_used(hippocampus_model, scan, tmp_path, spoil, words):
    spoil(scan)
    message = refused(tmp_path / "out", "--model", hippocampus_model, scan)
    assert words in message and str(scan) in message


def test_modalities_that_do_not_fit(work, pair, tmp_path):
    image = nib.load(pair[1])
    rewrite(pair[1], np.asarray(image.dataobj), image.affine @ np.diag([1.0, 1.0, 2.5, 1.0]))
    message = refused(tmp_path / "out", "--model", work / "model", *pair)
    assert "spacing (1.0, 1.0, 2.5) mm" in message and "the first has" in message and str(pair[1]) in message


def test_missing_and_additional_modalities(work, pair, tmp_path):
    assert "case case_0: t2 missing" in refused(tmp_path / "out", "--model", work / "model", pair[0], code=2)
    shutil.copy(pair[0], tmp_path / "pair" / "case_0_flair.nii.gz")
    ran = CliRunner().invoke(main, ["--model", str(work / "model"), str(tmp_path / "pair"), "-o", str(tmp_path / "o")])
    assert ran.exit_code == 3 and "case_0_flair.nii.gz: its name ends in no modality" in ran.stderr
    assert (tmp_path / "o" / "case_0.nii.gz").is_file()


def test_a_4d_file_of_another_number_of_volumes(work, pair, tmp_path):
    first, second = (nib.load(path) for path in pair)
    data = np.stack([np.asarray(image.dataobj) for image in (first, second, first)], axis=-1)
    nib.save(nib.Nifti1Image(data, first.affine), tmp_path / "scan.nii.gz")
    message = refused(tmp_path / "out", "--model", work / "model", tmp_path / "scan.nii.gz", code=2)
    assert "it has 3 volumes, the model takes 2 (t1, t2)" in message


def test_more_channels_than_the_model_has(work, hippocampus_model, pair, tmp_path):
    message = refused(tmp_path / "out.nii.gz", "--model", hippocampus_model, *pair, code=2)
    assert "2 cases cannot be written to one file" in message
    for modalities in (1, 3):
        with pytest.raises(DataError, match=rf"takes 2 modalities \(t1, t2\), found {modalities}"):
            Predictor.load(work / "model").segment_files((pair * 2)[:modalities], tmp_path / "out.nii.gz")
    assert not (tmp_path / "out.nii.gz").exists()


def test_a_volume_smaller_than_the_patch_is_no_fault(hippocampus_model, scan, tmp_path):
    rewrite(scan, np.asarray(nib.load(scan).dataobj)[10:20, 10:17, 10:15])
    ran = CliRunner().invoke(main, ["--model", str(hippocampus_model), str(scan), "-o", str(tmp_path / "o.nii.gz")])
    assert ran.exit_code == 0 and nib.load(tmp_path / "o.nii.gz").shape == (10, 7, 5)


def test_a_model_folder_that_is_not_as_it_was_written(model, scan, tmp_path):
    original = (model / "model.bin").read_bytes()
    (model / "model.bin").write_bytes(original[:-1] + b"x")
    assert "model.bin was altered" in refused(tmp_path / "out", "--model", model, scan)
    (model / "model.bin").unlink()
    assert "model.bin is missing" in refused(tmp_path / "out", "--model", model, scan)
    (model / "plan.json").unlink()
    assert "plan.json is missing" in refused(tmp_path / "out", "--model", model, scan)
    assert "no model folder" in refused(tmp_path / "out", "--model", tmp_path / "none", scan, code=2)


def test_a_network_with_code_in_it_is_refused(model, scan, tmp_path):
    """A Lambda layer whose code would write a file: put in place of the network, with right checksums."""
    import keras

    witness = tmp_path / "the code has run"
    evil = keras.Sequential([keras.Input((32, 32, 32, 1)),
                             keras.layers.Lambda(lambda x, path=str(witness): open(path, "w") and x)])  # noqa: SIM115
    witness.unlink(missing_ok=True)
    evil.save(model / "model.keras")
    for name in ("model.xml", "model.bin"):
        (model / name).unlink()
    write_checksums(model)
    message = refused(tmp_path / "out", "--model", model, scan)
    assert "cannot be loaded safely" in message and "ambda" in message and not witness.exists()


def test_an_output_that_cannot_be_written(hippocampus_model, scan, tmp_path):
    (tmp_path / "a file").write_text("")
    ran = CliRunner().invoke(main, ["--model", str(hippocampus_model), str(scan), "-o", str(tmp_path / "a file" / "x")])
    assert ran.exit_code == 2 and "The results cannot be written here" in ran.stderr
    ran = CliRunner().invoke(main, ["--model", str(hippocampus_model), str(scan), "-o", "/proc/nowhere"])
    assert ran.exit_code == 2 and "The results cannot be written here" in ran.stderr
    before = scan.read_bytes()
    ran = CliRunner().invoke(main, ["--model", str(hippocampus_model), str(scan), "-o", str(scan)])
    assert ran.exit_code == 2 and "would overwrite an image" in ran.stderr and scan.read_bytes() == before
    ran = CliRunner().invoke(main, ["--model", str(hippocampus_model), str(scan), "-o", str(scan.parent)])
    assert ran.exit_code == 2 and "would overwrite an image" in ran.stderr and scan.read_bytes() == before


@pytest.fixture
def dicom(real_data, tmp_path):
    """The real CT as a DICOM series of its 30 slices."""
    return write_dicom(real_data / "CT_abdomen_sample" / "ct.nii.gz", tmp_path / "series")


def test_a_dicom_series_gives_what_the_nifti_file_gives(hippocampus_model, real_data, dicom, tmp_path):
    predictor = Predictor.load(hippocampus_model)
    (dicom / "readme.txt").write_text("not a slice")
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for path in dicom.iterdir():
            archive.write(path, f"a/b/{path.name}")
    nifti = real_data / "CT_abdomen_sample" / "ct.nii.gz"
    rounded = np.rint(nib.load(nifti).get_fdata()).astype(np.int16)
    nib.save(nib.Nifti1Image(rounded, nib.load(nifti).affine), tmp_path / "ct.nii.gz")
    expected = predictor.segment_files([tmp_path / "ct.nii.gz"], tmp_path / "expected.nii.gz")
    assert expected.any()
    for name, source in (("folder", dicom), ("zip", tmp_path / "series.zip")):
        ran = CliRunner().invoke(main, ["--model", str(hippocampus_model), str(source), "-o",
                                        str(tmp_path / f"{name}.nii.gz")])
        assert ran.exit_code == 0, ran.output
        a, b = (sitk.ReadImage(str(tmp_path / f)) for f in (f"{name}.nii.gz", "expected.nii.gz"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(a, "RAS")),
                                      sitk.GetArrayFromImage(sitk.DICOMOrient(b, "RAS")))
        np.testing.assert_allclose(sitk.DICOMOrient(a, "RAS").GetOrigin(), sitk.DICOMOrient(b, "RAS").GetOrigin(),
                                   atol=1e-3)


def test_dicom_slices_missing_doubled_or_of_two_series(hippocampus_model, real_data, dicom, tmp_path):
    ordered = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(dicom))
    shutil.move(ordered[11], tmp_path / "away.dcm")
    message = refused(tmp_path / "out", "--model", hippocampus_model, dicom)
    assert "about 1 slice is missing" in message and "29 files, expected 3.00 mm" in message and "6.00 mm" in message
    shutil.move(tmp_path / "away.dcm", ordered[11])
    write_dicom(real_data / "CT_abdomen_sample" / "ct.nii.gz", tmp_path / "other", "1.2.826.0.1.3680043.8.498.9")
    for path in list((tmp_path / "other").iterdir())[:12]:
        shutil.copy(path, dicom / f"other_{path.name}")
    message = refused(tmp_path / "out", "--model", hippocampus_model, dicom)
    assert "Expected one DICOM series, found 2" in message and "12 files" in message and "30 files" in message
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 not a zip")
    assert "cannot be unpacked" in refused(tmp_path / "out", "--model", hippocampus_model, tmp_path / "bad.zip")


def test_models_that_are_no_ensemble(work, hippocampus_model, pair, tmp_path):
    message = refused(tmp_path / "out", "--model", work / "model", "--model", hippocampus_model, *pair, code=2)
    assert "cannot be one ensemble" in message and "its modalities differs" in message


@pytest.mark.parametrize("arguments, words", [
    (["--windows", "huge"], "Unknown windows"), (["--engine", "torch"], "Unknown engine"),
    (["--precision", "int8"], "Unknown precision"), (["--max-memory", "much"], "Expected a size"),
    (["--tta"], "trained without mirroring"), (["--uncertainty"], "needs more than one prediction"),
    (["--engine", "tensorflow", "--windows", "large"], "Only OpenVINO takes windows"),
    (["--engine", "tensorflow", "--max-memory", "2G"], "Only OpenVINO tells beforehand")])
def test_options_that_do_not_work_together(hippocampus_model, scan, tmp_path, arguments, words):
    assert words in refused(tmp_path / "out", "--model", hippocampus_model, scan, *arguments, code=2)


def test_checksums_of_a_model_are_a_part_of_its_digest(model):
    before = Predictor.load(model).model.digest
    plan = json.loads((model / "plan.json").read_text())
    plan["inference"]["largest_component"] = True
    files.write_text(model / "plan.json", json.dumps(plan))
    write_checksums(model)
    assert Predictor.load(model).model.digest != before
