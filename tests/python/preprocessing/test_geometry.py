"""Reading to RAS+ and writing back leaves every voxel where SimpleITK sees it."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from pocketnet.errors import DataError
from pocketnet.preprocessing import geometry

ROTATION = np.array([[0.936, -0.283, 0.211], [0.302, 0.951, -0.066], [-0.182, 0.125, 0.975]])


def orthonormal(matrix):
    return np.linalg.qr(matrix)[0] * np.sign(np.diag(np.linalg.qr(matrix)[1]))


AFFINES = {
    "RAS": np.diag([1.0, 1.0, 1.0]),
    "LPS": np.diag([-1.0, -1.0, 1.0]),
    "anisotropic": np.diag([0.7, 0.9, 5.0]),
    "axes in another order": np.array([[0, 0, 3.0], [-1.5, 0, 0], [0, 2.0, 0]]),
    "oblique": orthonormal(ROTATION) @ np.diag([-0.8, 1.2, 2.5]),
}


@pytest.fixture(params=AFFINES, ids=str)
def file(request, tmp_path):
    affine = np.eye(4)
    affine[:3, :3] = AFFINES[request.param]
    affine[:3, 3] = [-30.5, 12.25, 7.0]
    data = np.random.default_rng(0).integers(0, 1000, (6, 7, 8)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "image.nii.gz")
    return tmp_path / "image.nii.gz"


def test_written_volume_is_the_read_one(file, tmp_path):
    volume = geometry.read(file, label=True)
    geometry.write_image(tmp_path / "out.nii.gz", volume.data.astype(np.uint8), volume.grid)
    before, after = sitk.ReadImage(str(file)), sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    assert after.GetSize() == before.GetSize() and after.GetPixelID() == sitk.sitkUInt8
    for get in (sitk.Image.GetSpacing, sitk.Image.GetOrigin, sitk.Image.GetDirection):
        np.testing.assert_allclose(get(after), get(before), atol=1e-5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(after),
                                  sitk.GetArrayFromImage(before).astype(np.uint8))
    np.testing.assert_array_equal(nib.load(tmp_path / "out.nii.gz").affine, nib.load(file).affine)


def test_volume_in_memory_is_ras_as_simpleitk_orients_it(file):
    volume = geometry.read(file)
    oriented = sitk.DICOMOrient(sitk.ReadImage(str(file)), "RAS")
    expected = sitk.GetArrayFromImage(oriented).transpose(2, 1, 0)
    np.testing.assert_array_equal(volume.data, expected.astype(np.float32))
    np.testing.assert_allclose(volume.spacing, oriented.GetSpacing(), rtol=1e-5)


def test_write_refuses_another_shape(file, tmp_path):
    volume = geometry.read(file)
    with pytest.raises(ValueError, match="Expected the grid's shape"):
        geometry.write_image(tmp_path / "out.nii.gz", volume.data[1:], volume.grid)
    assert not list(tmp_path.glob("*out*"))


def test_label_map_with_fractions_is_refused(tmp_path):
    nib.save(nib.Nifti1Image(np.full((2, 2, 2), 0.5, np.float32), np.eye(4)), tmp_path / "l.nii")
    with pytest.raises(DataError, match="whole numbers"):
        geometry.read(tmp_path / "l.nii", label=True)


@pytest.mark.parametrize("suffixes", [[".mgz"], [".hdr", ".img"]])
def test_suffixes_in_upper_case_are_those_in_lower_case(file, tmp_path, suffixes):
    volume = geometry.read(file)
    geometry.write_image(tmp_path / f"a{suffixes[0]}", volume.data, volume.grid)
    lower = geometry.read(tmp_path / f"a{suffixes[0]}")
    for suffix in suffixes:
        (tmp_path / f"a{suffix}").rename(tmp_path / f"B{suffix.upper()}")
    upper = geometry.read(tmp_path / f"B{suffixes[0].upper()}")
    np.testing.assert_array_equal(upper.data, lower.data)
    np.testing.assert_array_equal(upper.grid.affine, lower.grid.affine)
