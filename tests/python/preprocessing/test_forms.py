"""Whatever the form of an image, a result lies where each reader puts the image, and every way in is the same."""

from __future__ import annotations

import gzip
import resource
import warnings
import zlib

import forms
import nibabel as nib
import numpy as np
import psutil
import pytest
import SimpleITK as sitk
from pocketnet.errors import DataError
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.nifti import GEOMETRY
from pocketnet.preprocessing.scan import read_scan

GETTERS = (sitk.Image.GetSize, sitk.Image.GetSpacing, sitk.Image.GetOrigin, sitk.Image.GetDirection)
WHOLE = np.s_[:, :, :]


def by_simpleitk(path):
    """The image, or None if SimpleITK refuses it (a shear in the only form)."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError:
        return None


@pytest.fixture(params=forms.FORMS, scope="module")
def case(request, tmp_path_factory):
    """An image, what was read of it, and a label map written on its grid: the brightest third of the voxels."""
    folder = tmp_path_factory.mktemp("form")
    forms.save(forms.FORMS[request.param](), folder / "image.nii.gz")
    scan = read_scan([folder / "image.nii.gz"])
    values = scan.read(WHOLE)[..., 0]
    bright = (values > np.quantile(values, 0.67)).astype(np.uint8)
    geometry.write_image(folder / "labels.nii.gz", bright, scan.grid)
    return folder / "image.nii.gz", scan, folder / "labels.nii.gz"


def test_there_are_enough_forms():
    assert len(forms.FORMS) >= 45


def test_nibabel_puts_the_labels_on_the_image(case):
    path, scan, labels = case
    image, made = nib.load(path), nib.load(labels)
    assert made.shape == image.shape and type(made) is type(image) and made.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(made.affine, image.affine)
    for name in GEOMETRY:
        np.testing.assert_array_equal(made.header[name], image.header[name], err_msg=name)
    data = image.get_fdata()
    np.testing.assert_array_equal(np.asarray(made.dataobj), data > np.quantile(data.astype(np.float32), 0.67))


def test_simpleitk_puts_the_labels_on_the_image(case):
    path, scan, labels = case
    image, made = by_simpleitk(path), by_simpleitk(labels)
    assert (image is None) == (made is None)
    if image is not None:
        for get in GETTERS:
            np.testing.assert_allclose(get(made), get(image), rtol=1e-6, atol=1e-6)
        data = sitk.GetArrayFromImage(image)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(made), data > np.quantile(data.astype(np.float32), 0.67))


def test_every_way_in_gives_the_same_voxels_and_warnings(case):
    path, scan, _ = case
    edges = scan.grid.affine[:3, :3] / scan.grid.spacing
    straight = scan.grid.header["qform_code"] or np.allclose(edges.T @ edges, np.eye(3), atol=1e-3)
    others = [by_simpleitk(path)] if straight else []  # ITK straightens a shear, and refuses NIfTI-2
    for image in (nib.load(path), *(image for image in others if image is not None)):
        found = read_scan(image)
        np.testing.assert_array_equal(found.read(WHOLE), scan.read(WHOLE))
        np.testing.assert_allclose(found.grid.affine, scan.grid.affine, atol=1e-2)
        np.testing.assert_allclose(found.spacing, scan.spacing, rtol=1e-3)
        assert found.warnings == scan.warnings


def test_memory_holds_mm_and_ras(case):
    """The voxel that a reader finds at a place in the world lies there in memory, too."""
    path, scan, _ = case
    image = nib.as_closest_canonical(nib.load(path))
    mm = {"micron": 1e-3, "meter": 1e3}.get(nib.load(path).header.get_xyzt_units()[0], 1.0)
    np.testing.assert_array_equal(scan.read(WHOLE)[..., 0], np.squeeze(image.get_fdata()).reshape(scan.shape))
    np.testing.assert_allclose(scan.spacing, nib.affines.voxel_sizes(image.affine) * mm, rtol=1e-5)


@pytest.mark.parametrize(("form", "words"), [
    ("qform of another pose", "disagree by up to"), ("sform rounded to one decimal", "disagree by up to"),
    ("micron, two poses", "disagree by up to"), ("no codes", "says no orientation"), ("plain", ""), ("qform only", "")])
def test_a_doubtful_header_is_a_warning(tmp_path, form, words):
    forms.save(forms.FORMS[form](), tmp_path / "image.nii.gz")
    found = read_scan(tmp_path / "image.nii.gz").warnings
    assert len(found) == bool(words) and words in "".join(found)


def test_the_disagreement_is_in_mm(tmp_path):
    for unit, scale in (("mm", 1.0), ("micron", 1000.0)):
        made = forms.image(unit=unit, scale=scale)
        moved = made.get_qform()
        moved[0, 3] += 12.5 * scale
        made.set_qform(moved, 1)
        forms.save(made, tmp_path / f"{unit}.nii.gz")
        assert "by up to 12.5 mm" in read_scan(tmp_path / f"{unit}.nii.gz").warnings[0]


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".hdr", ".img",
                                    ".NII.GZ"])
def test_every_format_is_written_and_read(tmp_path, suffix):
    forms.save(forms.reoriented(("S", "R", "P"), forms.ROTATION), tmp_path / "image.nii.gz")
    plain = read_scan(tmp_path / "image.nii.gz")
    path = tmp_path / f"result{suffix}"
    geometry.write_image(path, plain.channels[0].raw.astype(np.uint8), plain.grid, note="of a test")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_scan(path)
    np.testing.assert_array_equal(found.read(WHOLE), plain.read(WHOLE))
    np.testing.assert_allclose(found.grid.affine, plain.grid.affine, atol=1e-4)
    assert geometry.note_of(path) == ("" if suffix in (".mgz", ".mgh") else "of a test")
    other = by_simpleitk(path) if suffix not in (".mgz", ".mgh") else nib.load(path)
    assert other is not None and not found.warnings


@pytest.mark.parametrize(("at", "value", "words"), [
    (256, np.full(3, np.nan, "<f4"), "qform is not a rotation"), (256, np.full(3, 5, "<f4"), "qform is not a rotation"),
    (123, np.full(1, 7, "u1"), ""), (76, np.array([1, -1, -1, -1], "<f4"), "")])
def test_odd_fields_of_a_header_change_no_voxel(tmp_path, at, value, words):
    forms.save(forms.image(forms.ROTATION), tmp_path / "plain.nii")
    content = bytearray((tmp_path / "plain.nii").read_bytes())
    content[at: at + value.nbytes] = value.tobytes()
    (tmp_path / "odd.nii").write_bytes(content)
    plain, odd = (read_scan(tmp_path / f"{name}.nii") for name in ("plain", "odd"))
    np.testing.assert_array_equal(odd.read(WHOLE), plain.read(WHOLE))
    np.testing.assert_array_equal(odd.grid.affine, plain.grid.affine)
    assert words in "".join(odd.warnings) and len(odd.warnings) == bool(words)


@pytest.mark.parametrize(("at", "value", "words"), [
    (280, np.full(4, np.nan, "<f4"), "singular"), (108, np.full(1, np.inf, "<f4"), "Not a readable NIfTI"),
    (108, np.full(1, 1e30, "<f4"), "truncated"), (40, np.array([3, 30000, 30000, 30000], "<i2"), "truncated"),
    (40, np.array([3, 7, 0, 5], "<i2"), "at least one voxel"), (40, np.array([3, -7, 9, 5], "<i2"), "Not a readable"),
    (70, np.full(1, 9999, "<i2"), "not recognized"), (112, np.full(2, 1e38, "<f4"), "infinite")])
def test_impossible_fields_of_a_header_are_refused(tmp_path, at, value, words):
    forms.save(forms.image(forms.ROTATION), tmp_path / "image.nii")
    content = bytearray((tmp_path / "image.nii").read_bytes())
    content[at: at + value.nbytes] = value.tobytes()
    (tmp_path / "image.nii").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_scan(tmp_path / "image.nii")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """The header announces 3 GiB of zeros, which gzip packs to 3 MiB; the address space allows 1 GiB more than now."""
    header = nib.Nifti1Header()
    header.set_data_shape((1024, 1024, 3072))
    header.set_data_dtype(np.uint8)
    block = zlib.compressobj(9, wbits=-15)  # a part that ends at a byte, to be repeated
    start = block.compress(header.binaryblock + bytes(4)) + block.flush(zlib.Z_FULL_FLUSH)
    zeros = block.compress(bytes(2**26)) + block.flush(zlib.Z_FULL_FLUSH)
    head = gzip.compress(b"")[:10]
    (tmp_path / "bomb.nii.gz").write_bytes(head + start + 48 * zeros + block.flush() + bytes(8))
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**30, limits[1]))
    try:
        with pytest.raises(DataError, match="900 times its size"):
            geometry.read(tmp_path / "bomb.nii.gz")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_a_gzip_stream_in_parts_is_whole_and_one_that_grows_is_refused(tmp_path):
    forms.save(forms.image(), tmp_path / "plain.nii")
    content = (tmp_path / "plain.nii").read_bytes()
    (tmp_path / "parts.nii.gz").write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:]) + bytes(512))
    found = read_scan(tmp_path / "parts.nii.gz")
    np.testing.assert_array_equal(found.read(WHOLE), read_scan(tmp_path / "plain.nii").read(WHOLE))
    assert not found.warnings
    (tmp_path / "grows.nii.gz").write_bytes(gzip.compress(content + bytes(80 * 2**20), 1))
    with pytest.raises(DataError, match="far more than its header announces"):
        read_scan(tmp_path / "grows.nii.gz")
