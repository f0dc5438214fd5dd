"""Every form of DICOM ends in the right voxels or in a refusal that says what was found.

Each row of `READ` makes a form of one small volume and says which voxels are right; dcm2niix reads it too, where it
can.
The forms that are refused are in `test_dicom_refused`.
"""

from __future__ import annotations

import io
import locale
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import dicom_forms as forms
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_forms import OBLIQUE, SAGITTAL, SLICES, STRAIGHT, changed, item, multi, slices, volume, write
from nibabel.affines import apply_affine
from pocketnet.errors import DataError
from pocketnet.preprocessing import dicom
from pocketnet.preprocessing.dicom import pixels
from pydicom.data import get_testdata_file
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

BACKWARD = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def compressed(datasets, syntax):
    for one in datasets:
        one.compress(syntax, generate_instance_uid=False)
    return datasets


def in_syntax(syntax):
    def make(folder):
        made = slices()
        if syntax == ExplicitVRBigEndian:
            for one in made:
                one.PixelData = np.frombuffer(one.PixelData, np.int16).byteswap().tobytes()
        for one in made:
            one.file_meta.TransferSyntaxUID = syntax
            one.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
        return write(folder, made)
    return make


def by_gdcm(compressor):
    """Slices that GDCM compresses."""
    def make(folder):
        write(folder, slices())
        before = locale.setlocale(locale.LC_ALL)  # GDCM sets the whole process's locale to C when it writes
        for path in folder.iterdir():
            image = sitk.ReadImage(str(path))
            writer = sitk.ImageFileWriter()
            writer.SetImageIO("GDCMImageIO")
            writer.KeepOriginalImageUIDOn()
            writer.UseCompressionOn()
            writer.SetCompressor(compressor)
            for key in image.GetMetaDataKeys():
                image.SetMetaData(key, image.GetMetaData(key))
            writer.SetFileName(str(folder / f"{path.name}.dcm"))
            writer.Execute(image)
            made = pydicom.dcmread(folder / f"{path.name}.dcm")
            assert made.file_meta.TransferSyntaxUID.is_compressed
            path.unlink()
        locale.setlocale(locale.LC_ALL, before)
        return folder
    return make


def headless(keep_meta):
    """Files without the preamble of 128 bytes and `DICM`, and, if wanted, without the file meta information."""
    def make(folder):
        write(folder, slices())
        for path in folder.iterdir():
            content = path.read_bytes()[132:]
            path.write_bytes(content if keep_meta else content[12 + int.from_bytes(content[8:12], "little"):])
        return folder
    return make


def with_files(**contents):
    """A series beside other files: name (`__` is a dot) and content."""
    def make(folder):
        write(folder, slices())
        for name, content in contents.items():
            (folder / name.replace("__", ".")).write_bytes(content)
        return folder
    return make


def with_dicomdir(folder):
    write(folder, slices())
    shutil.copy(get_testdata_file("DICOMDIR"), folder / "DICOMDIR")
    return folder


def with_report(folder):
    write(folder, slices())
    shutil.copy(get_testdata_file("test-SR.dcm"), folder / "IM9999")
    return folder


def with_localizer(folder):
    scout = slices(orientation=SAGITTAL)[0]
    scout.ImageType, scout.SOPInstanceUID = ["ORIGINAL", "PRIMARY", "LOCALIZER"], f"{forms.ROOT}.1.99"
    scout.Rows, scout.Columns, scout.PixelData = 2, 2, bytes(8)
    return write(folder, [*slices(), scout])


def zipped(folder):
    write(folder / "made", slices())
    with zipfile.ZipFile(folder / "series.zip", "w") as archive:
        archive.write(get_testdata_file("DICOMDIR"), "DICOMDIR")
        for path in (folder / "made").iterdir():
            archive.write(path, f"PAT/../ST/SE{int(path.name[2:]) % 2}/{path.name}")
    return folder / "series.zip"


def nested_by_links(folder):
    """The slices lie in two folders beside this one, which has links to these."""
    write(folder.parent / "first", slices()[:3])
    write(folder.parent / "second", slices()[3:])
    folder.mkdir(exist_ok=True)
    for name in ("first", "second"):
        (folder / name).symlink_to(folder.parent / name)
    return folder


def nested(folder):
    write(folder / "PAT" / "ST", slices())
    return folder


def overlaid(folder):
    """12 bits stored, an overlay in bit 12."""
    made = slices(volume(np.uint16) + 0x1000)
    for one in made:
        one.BitsStored, one.HighBit = 12, 11
        one.add_new((0x6000, 0x0010), "US", one.Rows)
        one.add_new((0x6000, 0x0011), "US", one.Columns)
        one.add_new((0x6000, 0x0040), "CS", "G")
        one.add_new((0x6000, 0x0050), "SS", [1, 1])
        one.add_new((0x6000, 0x0100), "US", 16)
        one.add_new((0x6000, 0x0102), "US", 12)
    return write(folder, made)


def by_table(folder):
    table = [3 * value + 7 for value in range(SLICES * forms.ROWS * forms.COLUMNS)]
    made = slices(volume(np.uint16))
    for one in made:
        del one.RescaleSlope, one.RescaleIntercept
        look_up = item(ModalityLUTType="US")
        look_up.add_new("LUTDescriptor", "US", [len(table), 0, 16])
        look_up.add_new("LUTData", "US", table)
        one.ModalityLUTSequence = Sequence([look_up])
    return write(folder, made)


def slopes(index):
    return (0.5 + 0.25 * index, -3.0 * index)


def rescaled(pixels):
    return np.stack([plane * slopes(z)[0] + slopes(z)[1] for z, plane in enumerate(pixels)])


def philips(folder):
    """Each frame has a private copy of the classic header, with the place of the first pixel's corner."""
    made = forms.enhanced()
    made.Manufacturer = "Philips Medical Systems"
    for z, frame in enumerate(made.PerFrameFunctionalGroupsSequence):
        frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(0x0F, "SQ", Sequence([item(
            ImagePositionPatient=[float(x) for x in forms.position(z) - [0.625, 0.375, 0]],
            PixelSpacing=list(forms.SPACING))]))
    return write(folder, [made])


def first_slope_one(index):
    return 1 if index == 0 else "2e-05"


SUV = np.stack([volume(np.uint16)[0] * 1.0, *(volume(np.uint16)[1:] * 2e-5)])
MIXED = (4, 0, 2, 1, 5, 3)
READ = {
    "classic": (lambda f: write(f, slices()), {}),
    "oblique": (lambda f: write(f, slices(orientation=OBLIQUE)), {"orientation": OBLIQUE}),
    "sagittal": (lambda f: write(f, slices(orientation=SAGITTAL)), {"orientation": SAGITTAL}),
    "normal to the feet": (lambda f: write(f, slices(orientation=BACKWARD)), {"orientation": BACKWARD}),
    "MR": (lambda f: write(f, slices(kind=forms.MR)), {}),
    "8 bits": (lambda f: write(f, slices(volume().astype(np.uint8))), {"values": volume().astype(np.uint8)}),
    "32 bits": (lambda f: write(f, slices(volume(np.uint32) + 2**30)),
                {"values": volume(np.uint32) + 2**30, "oracle": "it takes unsigned 32 bits for signed"}),
    "12 bits, HU": (lambda f: write(f, changed(slices(volume(np.uint16)), BitsStored=12, HighBit=11,
                                               RescaleIntercept=-1024)),
                    {"values": volume() - 1024, "kind": np.int16}),
    "16 bits unsigned, HU": (lambda f: write(f, changed(slices(volume(np.uint16) + 60000), RescaleIntercept=-1024)),
                             {"values": volume(np.int32) + 60000 - 1024, "kind": np.int32}),
    "a slope for each slice": (lambda f: write(f, changed(
        slices(), RescaleSlope=lambda z: slopes(z)[0], RescaleIntercept=lambda z: slopes(z)[1])),
        {"values": rescaled(volume()), "kind": np.float32}),
    "slope 1 in the first slice": (lambda f: write(f, changed(
        slices(volume(np.uint16)), RescaleSlope=first_slope_one)), {"values": SUV, "kind": np.float32}),
    "implicit VR": (in_syntax(ImplicitVRLittleEndian), {}),
    "big endian": (in_syntax(ExplicitVRBigEndian), {}),
    "deflated": (in_syntax(DeflatedExplicitVRLittleEndian), {"oracle": "it does not take deflated files"}),
    "RLE": (lambda f: write(f, compressed(slices(), RLELossless)), {}),
    "JPEG-LS": (lambda f: write(f, compressed(slices(), JPEGLSLossless)), {}),
    "JPEG lossless": (by_gdcm("JPEG"), {}),
    "JPEG 2000": (by_gdcm("JPEG2000"), {}),
    "no preamble": (headless(True), {"oracle": "it wants a preamble"}),
    "no preamble and no file meta": (headless(False), {"oracle": "it wants a preamble"}),
    "a text beside it": (with_files(README=b"read me", notes__txt=b"x" * 500),
                      {"warns": "not DICOM.*README, notes.txt"}),
    "a DICOMDIR beside it": (with_dicomdir, {}),
    "a report beside it": (with_report, {"warns": r"without an image.*IM9999 \(Comprehensive SR Storage\)"}),
    "a localizer beside it": (with_localizer, {"warns": "localizers, left out: IM0006",
                                               "oracle": "it makes two images"}),
    "a copied file": (lambda f: write(f, [*slices(), *slices()[2:3]]),
                      {"warns": "copies.*left out: IM0006 of IM0005", "oracle": "it makes two images"}),
    "a zip": (zipped, {"oracle": "it takes folders"}),
    "in subfolders": (nested, {}),
    "in linked subfolders": (nested_by_links, {}),
    "an overlay in the unused bits": (overlaid, {"oracle": "it keeps the overlay's bits"}),
    "a modality LUT": (by_table, {"values": 3 * volume() + 7, "oracle": "it ignores the table"}),
    "enhanced": (multi(), {}),
    "enhanced, oblique": (multi(orientation=OBLIQUE), {"orientation": OBLIQUE}),
    "enhanced, frames mixed": (multi(places=MIXED), {}),
    "enhanced, a slope for each frame": (multi(rescale=slopes), {"values": rescaled(volume()), "kind": np.float32}),
    "enhanced, with Philips' copy of the classic header": (philips, {}),
    "enhanced, mixed, a slope for each frame": (
        multi(places=MIXED, rescale=lambda index: slopes(MIXED[index])), {"values": rescaled(volume())}),
}


def at_positions(data, affine):
    """Voxels and their places in mm, sorted by place, so that the order of axes plays no part."""
    index = np.stack(np.meshgrid(*map(np.arange, data.shape), indexing="ij"), -1).reshape(-1, 3)
    places = apply_affine(affine, index)
    order = np.lexsort(np.round(places, 2).T)
    return places[order], np.asarray(data, float).ravel()[order]


@pytest.mark.parametrize("name", READ)
def test_a_form_is_read(name, tmp_path):
    make, wanted = READ[name]
    path = make(tmp_path / "form")
    data, grid, warned = dicom.read_with_warnings(path)
    np.testing.assert_allclose(grid.affine, forms.affine(wanted.get("orientation", STRAIGHT)), atol=1e-4)
    np.testing.assert_allclose(data, wanted.get("values", volume()).transpose(2, 1, 0), rtol=1e-6)
    assert data.shape == grid.shape
    assert data.dtype == wanted.get("kind", data.dtype)
    assert bool(warned) == ("warns" in wanted) and re.search(wanted.get("warns", ""), "; ".join(warned))


@pytest.mark.parametrize("name", [name for name, (_, wanted) in READ.items() if "oracle" not in wanted])
def test_dcm2niix_reads_the_same(name, tmp_path):
    converter = pytest.importorskip("dcm2niix").bin
    path = READ[name][0](tmp_path / "form")
    data, grid = dicom.read(path)
    (tmp_path / "out").mkdir()
    ran = subprocess.run([converter, "-z", "n", "-b", "n", "-d", "3", "-f", "out", "-o", tmp_path / "out", path],
                         capture_output=True, text=True, timeout=60)
    made = list((tmp_path / "out").glob("*.nii"))
    assert len(made) == 1, (made, ran.stdout)
    image = nib.load(made[0])
    expected = np.asarray(image.dataobj, float)
    places, values = at_positions(data, grid.affine)
    their_places, their_values = at_positions(expected.reshape(expected.shape[:3]), image.affine)
    np.testing.assert_allclose(places, their_places, atol=1e-3)
    np.testing.assert_allclose(values, their_values, atol=1e-3 * np.ptp(their_values))


def test_a_single_file_is_read_as_its_folder_is(tmp_path):
    folder = multi(places=MIXED)(tmp_path / "form")
    file = next(folder.iterdir())
    assert dicom.is_dicom_file(file) and not dicom.is_series(file) and dicom.is_series(folder)
    np.testing.assert_array_equal(dicom.read(file)[0], dicom.read(folder)[0])


@pytest.mark.parametrize("name, expected", [("DICOMDIR", False), ("test-SR.dcm", False), ("CT_small.dcm", True)])
def test_a_folder_is_a_series_by_its_images(name, expected, tmp_path):
    shutil.copy(get_testdata_file(name), tmp_path / "file")
    assert dicom.is_series(tmp_path) is expected
    assert not dicom.is_series(tmp_path / "file")


def test_files_are_listed_in_order_of_place(tmp_path):
    write(tmp_path / "form", slices())
    assert [Path(file).name for file in dicom.files_of(tmp_path / "form", tmp_path)] == [
        f"IM{number:04d}" for number in (3, 0, 5, 1, 4, 2)]


def test_names_in_a_zip_stay_inside_and_are_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for index, one in enumerate(slices()):
            stream = io.BytesIO()
            one.save_as(stream, enforce_file_format=True)
            archive.writestr(f"../../x/IM{index:04d}", stream.getvalue()[:-4 if index == 4 else None])
    before = sorted(tmp_path.parent.rglob("*"))
    with pytest.raises(DataError, match="IM0004: expected 126 bytes"):
        dicom.read(tmp_path / "a.zip")
    assert sorted(tmp_path.parent.rglob("*")) == before




@pytest.mark.parametrize("rescale", [(1.0, 0.0), (1.0, 1.0), (2.0, 0.0), (0.5, -1024.0)])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_real_values_are_slope_times_stored_values_plus_intercept(rescale, kind):
    stored = np.arange(-4, 8, 2, dtype=np.int16)
    found = pixels.scaled(stored, rescale, np.dtype(kind))
    assert found.dtype == kind
    np.testing.assert_array_equal(found, stored * rescale[0] + rescale[1])
