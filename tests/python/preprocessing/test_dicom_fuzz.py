"""Damaged DICOM files end in a refusal or in the right place, never in another error or a volume that lacks a slice.

The slices of undamaged files are as they were. The damaged one is as it was, or as SimpleITK reads it, or as pydicom
reads it if SimpleITK refuses it; see `damage`.
"""

import random
import shutil

import dicom_forms as forms
import numpy as np
import pydicom
import SimpleITK as sitk
from pocketnet.errors import DataError
from pocketnet.preprocessing import dicom
from preprocessing import damage, test_dicom

FORMS = ("classic", "RLE", "JPEG-LS", "JPEG lossless", "JPEG 2000", "deflated", "implicit VR", "big endian",
         "a modality LUT", "no preamble", "8 bits")
HEADER = (128, 1200)
NO_VALUES = "a modality LUT"
"""SimpleITK does not apply it."""


def planes(data):
    """The slices of a volume, each as a tuple of its values."""
    return [tuple(data[..., index].ravel().tolist()) for index in range(data.shape[2])]


def by_others(path, syntax):
    """The slice of one file as SimpleITK reads it, which wants a preamble, or else as pydicom does."""
    content = path.read_bytes()
    if content[128:132] != b"DICM":
        path.write_bytes(bytes(128) + b"DICM" + content)
    try:
        return planes(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T.astype(np.float64))[0]
    except RuntimeError:
        data = pydicom.dcmread(path, force=True)
        data.file_meta.TransferSyntaxUID = syntax
        slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
        return planes((data.pixel_array * slope + intercept).T[..., None])[0]


def test_damaged_files(tmp_path):
    sources = {name: test_dicom.READ[name][0](tmp_path / str(index)) for index, name in enumerate(FORMS)}
    whole = {name: planes(dicom.read(folder)[0]) for name, folder in sources.items()}
    syntax = {name: pydicom.dcmread(next(folder.iterdir()), force=True).file_meta.TransferSyntaxUID
              for name, folder in sources.items()}
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    draw = random.Random(4)
    outcomes = {"read": 0, "refused": 0}
    for number in range(damage.COUNT):
        name = draw.choice(FORMS)
        folder = shutil.copytree(sources[name], tmp_path / f"damaged{number}")
        path = draw.choice(sorted(folder.iterdir()))
        path.write_bytes(damage.damaged(path.read_bytes(), draw, HEADER))
        try:
            with damage.limited():
                data, grid = dicom.read(folder)
        except DataError:
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
            assert data.shape == (forms.COLUMNS, forms.ROWS, forms.SLICES), (name, number)
            np.testing.assert_allclose(grid.affine, forms.affine(), atol=0.1, err_msg=f"{name} {number}")
            others = [found for found, right in zip(planes(data), whole[name], strict=True) if found != right]
            assert len(others) <= 1, (name, number)
            if others and name != NO_VALUES:
                assert others[0] == by_others(path, syntax[name]), (name, number)
        shutil.rmtree(folder)
    print(outcomes)
    assert min(outcomes.values()) > 0.05 * damage.COUNT, outcomes
