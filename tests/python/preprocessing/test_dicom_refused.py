"""Each form of DICOM that is no box of voxels is refused, and the message names what was found."""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from pathlib import Path

import dicom_forms as forms
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_forms import SAGITTAL, SLICES, STRAIGHT, changed, enhanced, item, multi, slices, volume, write
from pocketnet.errors import DataError
from pocketnet.preprocessing import dicom
from pydicom.data import get_testdata_file
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage


@pytest.fixture
def cases(real_data):
    """The files of reported faults, which lie beside the real images."""
    if not (real_data.parent / "cases").is_dir():
        pytest.skip("the files of reported faults are not here")
    return real_data.parent / "cases"


def without(datasets, name):
    for one in datasets:
        delattr(one, name)
    return datasets


def two(change):
    """Two volumes in one series, the second with other pixels and changed attributes."""
    def make(folder):
        second = change(changed(slices(volume() + 500, kind=forms.MR), EchoTime=5))
        for index, one in enumerate(second):
            one.SOPInstanceUID, one.InstanceNumber = f"{forms.ROOT}.1.{100 + index}", 100 + index
        return write(folder, [*changed(slices(kind=forms.MR), EchoTime=5), *second])
    return make


def twice(marks):
    """An enhanced file of two volumes."""
    return multi(places=(*range(SLICES), *range(SLICES)), pixels=np.concatenate([volume(), volume() + 500]),
                 marks=lambda index: marks(index >= SLICES))


def group(name, **values):
    return {name: Sequence([item(**values)])}


def cut(bytes_left, file=3):
    def make(folder):
        path = sorted(write(folder, slices()).iterdir())[file]
        path.write_bytes(path.read_bytes()[:bytes_left])
        return folder
    return make


def dangling(folder):
    write(folder, slices())
    (folder / "IM0003").rename(folder.parent / "away")
    (folder / "IM0003").symlink_to(folder / "nowhere")
    return folder


def colour(folder):
    made = slices(np.repeat(volume().astype(np.uint8), 3, axis=2))
    return write(folder, changed(made, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0,
                                 Columns=forms.COLUMNS))


def classic_frames(folder):
    one = forms.dataset(volume(), kind=forms.MR)
    one.ImagePositionPatient, one.ImageOrientationPatient = list(forms.ORIGIN), list(STRAIGHT)
    one.PixelSpacing, one.SpacingBetweenSlices = list(forms.SPACING), forms.STEP
    return write(folder, [one])


def tilted(index):
    return [float(x) for x in forms.position(index) + [0, 0.4 * index, 0]]


def tilted_frames(folder):
    made = enhanced()
    for index, frame in enumerate(made.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = tilted(index)
    return write(folder, [made])


def other_frame(folder):
    """A copied frame."""
    return write(folder, [enhanced(places=(*range(SLICES), 2))])


def bomb(folder):
    """A zip whose directory promises 1.1 GiB from a few bytes."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "bomb.zip", "w") as archive:
        archive.writestr("IM0000", b"x" * 1000)
        archive.infolist()[0].file_size = int(1.1 * 2**30)
    return folder / "bomb.zip"


def in_part_below(folder):
    write(folder, slices()[:4])
    write(folder / "more", slices()[4:])
    return folder


def deflated_bomb(folder):
    one = slices()[0]
    one.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = next(write(folder, [one]).iterdir())
    start = 144 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    path.write_bytes(path.read_bytes()[:start] + b"".join(packer.compress(bytes(2**20)) for _ in range(100))
                     + packer.flush())
    return folder


def many_rows(folder):
    made = slices()
    for one in made:
        one.compress(RLELossless, generate_instance_uid=False)
    made[1].Rows = made[1].Columns = 60000
    return write(folder, made)


REFUSED = {
    "a part in a subfolder": (in_part_below, ["2 more files of this DICOM series lie in subfolders", "more/IM0000"]),
    "a deflated bomb": (deflated_bomb, [r"IM0003: its [0-9]+ bytes unpack to more than 7[0-9]{7}\b"]),
    "more pixels than a file can hold": (many_rows, ["IM0000: expected 7200000000 bytes", "compressed ones"]),
    "a slice missing": (lambda f: write(f, [*slices()[:2], *slices()[3:]]),
                        ["about 1 slice is missing: 5 files, expected 2.50 mm", "IM0000 and IM0005: 5.00 mm"]),
    "a copy with other pixels": (lambda f: write(f, [*slices(), slices(volume() + 1)[2]]),
                                 ["same place and have other pixels: 7 files at 6 places", "IM0005 and IM0006"]),
    "two series": (lambda f: write(f, [*slices(), *changed(slices(), SeriesInstanceUID="1.2.3")], range(12)),
                   ["Expected one DICOM series, found 2", r"series 1\.2\.3: 6 files, CT, test"]),
    "two echoes": (two(lambda d: changed(d, EchoTime=20)), ["2 echoes", "echoes 20.*: 6 files", "echoes 5"]),
    "phase beside magnitude": (two(lambda d: changed(d, ImageType=["ORIGINAL", "PRIMARY", "P"])),
                               ["2 components", "components phase: 6 files", "components magnitude"]),
    "two b-values": (two(lambda d: changed(d, DiffusionBValue=1000.0)), ["2 b-values", "b-values 1000: 6 files"]),
    "two phases": (two(lambda d: changed(d, TemporalPositionIdentifier=2)),
                   ["2 phases", r"phases 2: 6 files \((IM\d+, ){2}IM\d+ and 3 more\)"]),
    "two acquisitions": (two(lambda d: changed(d, AcquisitionNumber=2)), ["2 acquisitions"]),
    "two times": (two(lambda d: changed(d, AcquisitionTime="130000")), ["2 times", "130000: 6 files"]),
    "two volumes that nothing tells apart": (two(lambda d: d), ["same place and have other pixels: 12 files at 6"]),
    "two directions": (lambda f: write(f, [*slices()[:3], *slices(orientation=SAGITTAL)[3:]]),
                       ["different directions", r"direction 0\\1\\0\\0\\0\\-1: 3 files", "its own folder or file"]),
    "two sizes": (lambda f: write(f, [*slices()[:3], *slices(volume()[:, :4])[3:]]),
                  ["different sizes", "4 × 7 pixels: 3 files"]),
    "two pixel spacings": (lambda f: write(f, changed(slices(), PixelSpacing=lambda z: [1 + z // 3] * 2)),
                           ["different pixel spacings"]),
    "two frames of reference": (lambda f: write(f, changed(slices(), FrameOfReferenceUID=lambda z: f"1.{1 + z // 3}")),
                                ["different frames of reference", "1.2: 3 files"]),
    "a tilted gantry": (lambda f: write(f, changed(slices(), ImagePositionPatient=tilted)),
                        ["shifted sideways by 0.40 mm each", "tilted gantry"]),
    "no PixelSpacing": (lambda f: write(f, without(slices(), "PixelSpacing")),
                        [r"PixelSpacing \(0028,0030\) is missing in 6 of 6", "IM0000"]),
    "no position in one": (lambda f: write(f, [*without(slices()[:1], "ImagePositionPatient"), *slices()[1:]]),
                           [r"ImagePositionPatient \(0020,0032\) is missing in 1 of 6", "IM0003"]),
    "no orientation": (lambda f: write(f, without(slices(), "ImageOrientationPatient")),
                       [r"ImageOrientationPatient \(0020,0037\) is missing"]),
    "directions at no right angle": (lambda f: write(f, changed(slices(), ImageOrientationPatient=[1, 0, 0, .1, 1, 0])),
                                     ["right angle", "IM0000"]),
    "colour": (colour, ["in colour", "RGB", "IM0000"]),
    "MONOCHROME1": (lambda f: write(f, changed(slices(), PhotometricInterpretation="MONOCHROME1")), ["MONOCHROME1"]),
    "a mosaic": (lambda f: write(f, changed(slices(), ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])), ["mosaic"]),
    "slope 0": (lambda f: write(f, changed(slices(), RescaleSlope=0)), ["RescaleSlope is 0"]),
    "bits that nothing explains": (lambda f: write(f, changed(slices(volume() + 4096), BitsStored=12, HighBit=11)),
                                   ["bits set beyond the 12", "IM"]),
    "one slice": (lambda f: write(f, slices()[:1]), ["found 1 slice of 9 × 7 pixels"]),
    "a file cut in its header": (cut(600), ["1 of 6 files .* damaged", "IM0003: it has no pixels"]),
    "a file cut in its pixels": (cut(-10), ["1 of 6 files .* damaged", "IM0003: expected 126 bytes.* found 116"]),
    "an empty file among the slices": (cut(0), ["1 of 6", r"IM0003: not DICOM \(0 bytes\)"]),
    "a link to a slice that is not there": (dangling, ["IM0003: a link to a file that is not there"]),
    "only a report": (lambda f: write(f, []) and shutil.copy(get_testdata_file("test-SR.dcm"), f / "a") and f,
                      ["no DICOM series", "Comprehensive SR Storage"]),
    "a dose": (lambda f: write(f, []) and shutil.copy(get_testdata_file("rtdose.dcm"), f / "a") and f,
               ["no DICOM series", "RT Dose"]),
    "no file at all": (lambda f: write(f, []), ["no DICOM series"]),
    "a zip of another thing": (lambda f: write(f, []) and (f / "a.zip").write_bytes(b"PK\3\4 none") and f / "a.zip",
                               ["zip cannot be unpacked"]),
    "a zip that unpacks to a gigabyte": (bomb, ["would unpack from .* to 1 GiB"]),
    "a secondary capture": (lambda f: write(f, [forms.dataset(volume()[0], kind=SecondaryCaptureImageStorage)]),
                            ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]),
    "frames without positions": (classic_frames, [r"ImagePositionPatient .* is missing in 6 of 6", "frame 1",
                                                 r"(?s)\A(?!.*(PixelSpacing|ImageOrientation))"]),
    "a frame missing": (multi(places=(0, 1, 3, 4, 5), pixels=volume()[[0, 1, 3, 4, 5]]),
                        ["about 1 slice is missing: 5 frames", "between frame 2 and frame 3: 5.00 mm"]),
    "a frame twice": (other_frame, ["7 frames at 6 places", "frame 3 and frame 7"]),
    "echoes in frames": (twice(lambda second: group("MREchoSequence", EffectiveEchoTime=20.0 if second else 5.0)),
                         ["2 echoes", r"echoes 20: 6 frames \(frames 7 to 12\)"]),
    "components in frames": (twice(lambda second: group(
        "MRImageFrameTypeSequence", ComplexImageComponent="PHASE" if second else "MAGNITUDE")),
        ["2 components", "phase: 6 frames"]),
    "components by FrameType": (twice(lambda second: group(
        "MRImageFrameTypeSequence", FrameType=["ORIGINAL", "PRIMARY", "P" if second else "M", "NONE"])),
        ["2 components", "phase: 6 frames"]),
    "b-values in frames": (twice(lambda second: group("MRDiffusionSequence", DiffusionBValue=1000.0 * second)),
                           ["2 b-values"]),
    "stacks in frames": (twice(lambda second: group("FrameContentSequence", StackID=str(1 + second))),
                         ["2 stacks", r"stacks 2: 6 frames \(frames 7 to 12\)"]),
    "phases in frames": (twice(lambda second: group("FrameContentSequence", StackID="1",
                                                    TemporalPositionIndex=1 + second)), ["2 phases"]),
    "a frame of another phase": (multi(places=(*range(SLICES), 2), marks=lambda index: group(
        "FrameContentSequence", StackID="1", TemporalPositionIndex=1 + (index == SLICES))),
        ["2 phases", r"phases 2: 1 frames \(frames 7\)"]),
    "frames that nothing tells apart": (twice(lambda second: {}), ["no attribute tells them apart: 12 frames at 6"]),
    "tilted frames": (tilted_frames, ["shifted sideways by 0.40 mm each"]),
    "fewer descriptions than frames": (lambda f: write(f, changed([enhanced()], NumberOfFrames=5)), ["5 frames"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_form_is_refused(name, tmp_path):
    make, words = REFUSED[name]
    path = make(tmp_path / "form")
    with pytest.raises(DataError) as refused:
        dicom.read(path)
    message = str(refused.value)
    for word in words:
        assert re.search(word, message), message
    assert str(path) in message


PYDICOM_FILES = sorted(path.name for path in Path(get_testdata_file("CT_small.dcm")).parent.glob("*.dcm"))


@pytest.mark.parametrize("name", PYDICOM_FILES)
def test_pydicoms_own_files_are_refused_by_name(name, tmp_path):
    """Each is a single slice, in colour, without a place, damaged or no image."""
    with pytest.raises(DataError, match="(?s)1 slice|colour|missing in|damaged|no DICOM series|Photometric|has 1 bits"):
        dicom.read(get_testdata_file(name))


@pytest.mark.parametrize("folder, words", [
    ("77654033/CR1", "MONOCHROME1"), ("77654033/CT2", "about 161 slices are missing: 4 files"),
    ("98892001/CT2N", "different directions: 2"), ("98892003/MR1", "found 3"), ("98892003/MR700", "directions: 7"),
    ("TINY_ALPHA", "50 of 52 files.*damaged")])
def test_pydicoms_own_series_are_refused(folder, words):
    with pytest.raises(DataError, match=words):
        dicom.read(Path(get_testdata_file("DICOMDIR")).parent / folder)


def test_pydicoms_own_series_is_read():
    folder = Path(get_testdata_file("DICOMDIR")).parent / "98892001" / "CT5N"
    data, grid = dicom.read(folder)
    expected = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    np.testing.assert_array_equal(data, sitk.GetArrayFromImage(expected).T)
    np.testing.assert_allclose(grid.affine, dicom.grid_of(expected).affine, atol=1e-3)


@pytest.mark.parametrize("name, words", [
    ("images/08_multi_frame/e12_enhanced_missing_three.zip", "about 3 slices are missing: 32 frames"),
    ("images/08_multi_frame/e17_enhanced_two_echoes.zip", "70 frames at 35 places"),
    ("images/08_multi_frame/e20_single_file_classic_multiframe.zip", "ImagePositionPatient.*missing in 35 of 35"),
    ("images/11_no_pixel_spacing/series.zip", r"PixelSpacing \(0028,0030\) is missing in 35 of 35"),
    ("security/dicom_truncated_end", "(?s)1 of 12 files.*011.dcm")])
def test_reported_cases_are_refused(cases, name, words):
    with pytest.raises(DataError, match=words):
        dicom.read(cases / name)


def test_reported_cases_are_read(cases):
    images = cases / "images"
    plain, grid = dicom.read(images / "19_no_preamble" / "series.zip")
    assert plain.shape == (35, 51, 35) and np.allclose(grid.spacing, 1)
    for name in ("08_multi_frame/e15_enhanced_interleaved.zip", "12_wrong_diagnosis/d04_duplicate_instance.zip"):
        data, other = dicom.read(images / name)
        np.testing.assert_array_equal(data, plain)
        np.testing.assert_allclose(other.affine, grid.affine)
    slope, _ = dicom.read(images / "10_first_slice_slope_1" / "series.zip")
    assert np.ptp(slope) > 0 and np.corrcoef(slope[..., 1:].ravel(), plain[..., 1:].ravel())[0, 1] > 0.99
