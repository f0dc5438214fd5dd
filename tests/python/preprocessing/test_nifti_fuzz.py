"""Damaged NIfTI files end in a refusal or in the voxels that nibabel or SimpleITK read; see `damage`."""

import gzip
import random
import warnings

import forms
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from pocketnet.errors import DataError
from pocketnet.preprocessing.nifti import READ_ERRORS
from pocketnet.preprocessing.scan import read_scan
from preprocessing import damage

FORMS = ("plain", "oblique", "4D", "NIfTI-2", "big-endian", "big-endian, float", "uint8", "float64", "scl_slope",
         "micron", "qform of another pose", "no codes")
SUFFIXES = (".nii", ".nii.gz", "packed", ".img")
MM = {"micron": 1e-3, "meter": 1e3}
HEADER = (0, 352)


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """The bytes of each form: a file, the same packed, and a pair of header and voxels."""
    folder, out = tmp_path_factory.mktemp("forms"), {}
    for number, name in enumerate(FORMS):
        made = forms.FORMS[name]()
        forms.save(made, folder / f"{number}.nii")
        content = (folder / f"{number}.nii").read_bytes()
        out[name, ".nii"] = (content, None)
        out[name, ".nii.gz"] = out[name, "packed"] = (gzip.compress(content, 1), None)
        if not isinstance(made, nib.Nifti2Image):
            nib.save(nib.Nifti1Pair(np.asarray(made.dataobj), made.affine, made.header), folder / f"{number}.hdr")
            out[name, ".img"] = tuple((folder / f"{number}{suffix}").read_bytes() for suffix in (".hdr", ".img"))
    return out


def damaged(folder, number, suffix, content, voxels, draw):
    """Write one damaged file: as it is, before it is packed (`packed`), or one of a pair."""
    name = folder / f"image{number}"
    if suffix == ".img":
        parts = [content, voxels]
        which = draw.choice((0, 0, 1))
        parts[which] = damage.damaged(parts[which], draw, HEADER)
        for end, part in zip((".hdr", ".img"), parts, strict=True):
            name.with_suffix(end).write_bytes(part)
        return name.with_suffix(".hdr")
    path = name.with_suffix(".nii" if suffix == ".nii" else ".nii.gz")
    path.write_bytes(gzip.compress(damage.damaged(gzip.decompress(content), draw, HEADER), 1) if suffix == "packed"
                     else damage.damaged(content, draw, HEADER))
    return path


def by_nibabel(path):
    """The voxels in RAS+ and their affine in mm, or None if nibabel refuses the file."""
    try:
        image = nib.load(path)
        try:
            unit = image.header.get_xyzt_units()[0]
        except KeyError:
            unit = "mm"
        data = image.get_fdata(dtype=np.float32)
        shape = (*data.shape, 1, 1)[:3] if data.ndim < 3 else data.shape[:3]
        turned = nib.as_closest_canonical(nib.Nifti1Image(data.reshape(shape), image.affine))
        return np.asarray(turned.dataobj), np.diag([*[MM.get(unit, 1.0)] * 3, 1.0]) @ image.affine
    except READ_ERRORS:
        return None


def by_simpleitk(path):
    """The voxels in file axes, or None if SimpleITK refuses the file."""
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T
    except RuntimeError:
        return None


def test_damaged_files(tmp_path, contents):
    draw, outcomes = random.Random(24), {"read": 0, "refused": 0}
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    warnings.simplefilter("ignore")
    for number in range(damage.COUNT):
        form, suffix = draw.choice(sorted(contents))
        path = damaged(tmp_path, number, suffix, *contents[form, suffix], draw)
        case = f"{number}: {form}, {suffix}"
        try:
            with damage.limited():
                scan = read_scan(path)
                found = scan.read(np.s_[:, :, :])[..., 0]
        except DataError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        other = by_nibabel(path)
        if other is not None:
            np.testing.assert_array_equal(found, other[0], err_msg=case)
            np.testing.assert_allclose(scan.grid.affine, other[1], rtol=1e-6, atol=1e-6, err_msg=case)
        else:
            voxels = by_simpleitk(path)
            assert voxels is not None, case
            np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(voxels.astype(np.float32), axis=None),
                                          err_msg=case)
    print(outcomes)
    assert min(outcomes.values()) > 0.05 * damage.COUNT, outcomes
