"""Decode the pixels of DICOM files, and convert them to real values, each slice by its own rescale."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from .frames import Frame
from .headers import Header, quiet, read_header

if TYPE_CHECKING:
    import pydicom

EXACT_BITS = 24
"""Bits of whole numbers that float32 holds."""
JPEG_KINDS = tuple(f"1.2.840.10008.1.2.4.{kind}" for kind in (50, 51, 57, 70, 80, 81))
"""Transfer syntaxes of JPEG and JPEG-LS."""
JPEG_SIZES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Second bytes of the markers that say a JPEG's size."""
LARGEST = float(np.finfo(np.float32).max)
SC_IMAGE, MULTI_FRAME_BYTE, MULTI_FRAME_WORD = (
    f"1.2.840.10008.5.1.4.1.1.7{kind}" for kind in ("", ".2", ".3"))
"""SOP classes of secondary captures: of one frame, and of several with 8 and 16 bits a pixel."""


def value_type(headers: Sequence[Header], frames: Sequence[Frame]) -> np.dtype:
    """Return a type that holds the real values of all frames, whatever their stored values are."""
    low = high = 0.0
    whole, bits = True, 0
    for header in headers:
        data = header.data
        scales = [frame.rescale for frame in frames if frame.file == header.file]
        if "FloatPixelData" in data or "DoubleFloatPixelData" in data:
            return np.dtype(np.float64)
        stored = int(data.get("BitsStored") or data.BitsAllocated)
        signed = int(data.get("PixelRepresentation") or 0)
        bits = max(bits, stored)
        ends = (-2.0 ** (stored - 1), 2.0 ** (stored - 1) - 1) if signed else (0.0, 2.0 ** stored - 1)
        for slope, intercept in scales:
            whole &= slope == int(slope) and intercept == int(intercept)
            values = [end * slope + intercept for end in ends]
            low, high = min(low, *values), max(high, *values)
    if whole:
        for kind in (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return np.dtype(kind)
    return np.dtype(np.float32 if bits <= EXACT_BITS and max(-low, high) < LARGEST else np.float64)


def voxels(headers: Sequence[Header], frames: Sequence[Frame], where: Path) -> np.ndarray:
    """Decode frames.

    Args:
        headers: All files of the series.
        frames: The frames to decode, in order.
        where: The path that the user gave, for messages.

    Returns:
        (columns, rows, frames) in real values.

    Raises:
        DataError: A file's pixels are damaged, or its compression is unknown.
    """
    kind = value_type(headers, frames)
    rows, columns = frames[0].shape
    out = np.empty((columns, rows, len(frames)), kind, order="F")
    order = sorted(range(len(frames)), key=lambda index: str(frames[index].file))
    for file, group in groupby(order, key=lambda index: frames[index].file):
        stored = stored_values(file, where)
        for index in group:
            number = frames[index].number
            plane = stored if number is None else stored[number - 1]
            out[:, :, index] = scaled(plane, frames[index].rescale, kind).T
    return out


def scaled(plane: np.ndarray, rescale: tuple[float, float], kind: np.dtype) -> np.ndarray:
    """Convert stored to real values of the given type."""
    if rescale == (1.0, 0.0):
        return plane.astype(kind, copy=False)
    with np.errstate(over="ignore"):
        values = plane * np.float64(rescale[0]) + np.float64(rescale[1])
    return (np.rint(values) if kind.kind in "iu" else values).astype(kind)


def same_voxels(a: Frame, b: Frame) -> bool:
    """Return whether two files of one slice each have the same real values."""
    first, second = (scaled(stored_values(frame.file, frame.file), frame.rescale, np.dtype(np.float64))
                     for frame in (a, b))
    return np.array_equal(first, second)


def stored_values(file: Path, where: Path) -> np.ndarray:
    """Decode a file: (rows, columns), or (frame, rows, columns) if it has several.

    Raises:
        DataError: The pixels are damaged, or their compression is unknown.
    """
    try:
        with quiet():
            data = read_header(file, pixels=True)
            _name_syntax(data)
            if data.file_meta.TransferSyntaxUID in JPEG_KINDS:
                _check_jpeg(data)
            data.pixel_array_options(correct_unused_bits=False)  # `_sound_bits` looks at them first
            try:
                values = data.pixel_array
            except RuntimeError:  # pydicom has no decoder for this compression; GDCM may have
                values = _by_gdcm(data)
            values = _sound_bits(data, np.asarray(values))
    except OSError as error:
        raise DataError(f"This file cannot be read: {error.strerror or error}.", where=str(file)) from None
    except _Refused as error:
        raise DataError(f"The pixels of a DICOM file cannot be taken: {error}", where=str(where), problems=[file.name]
                        ) from None
    except Exception as error:  # decoders raise errors of many types on damaged pixels
        line = [part for part in str(error).splitlines() if part.strip()] or [type(error).__name__]
        raise DataError("The pixels of a DICOM file cannot be decoded: the file is damaged, or its compression is "
                        "unknown.", where=str(where), problems=[f"{file.name}: {line[-1][:160]}"]) from None
    shape = (int(data.get("NumberOfFrames") or 1), int(data.Rows), int(data.Columns))
    if values.size != np.prod(shape, dtype=np.int64):
        raise DataError(f"Expected {' × '.join(map(str, shape))} pixels, found {' × '.join(map(str, values.shape))}.",
                        where=str(where), problems=[file.name])
    if "ModalityLUTSequence" in data:
        values = _by_table(data, values)
    multi = shape[0] > 1 or "PerFrameFunctionalGroupsSequence" in data
    return values.reshape(shape if multi else shape[1:])


class _Refused(Exception):
    """The pixels cannot be taken; the text gives the reason."""


def _name_syntax(data: pydicom.Dataset) -> None:
    """Add the transfer syntax to a file without file meta information, whose pixels are not compressed then."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if data.file_meta.get("TransferSyntaxUID") or data["PixelData"].is_undefined_length:
        return
    implicit, little = data.original_encoding
    data.file_meta.TransferSyntaxUID = (ImplicitVRLittleEndian if implicit else
                                        ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def _by_table(data: pydicom.Dataset, values: np.ndarray) -> np.ndarray:
    from pydicom.pixels.processing import apply_modality_lut

    with quiet():
        return np.asarray(apply_modality_lut(values, data))


def _sound_bits(data: pydicom.Dataset, values: np.ndarray) -> np.ndarray:
    """Return values whose bits beyond BitsStored are those of their sign.

    An overlay may be kept in these bits; then they are dropped.

    Raises:
        _Refused: They hold something else.
    """
    if values.dtype.kind == "f":
        return values
    stored, allocated = int(data.get("BitsStored") or data.BitsAllocated), 8 * values.dtype.itemsize
    high = int(data.get("HighBit") or stored - 1)
    if high != stored - 1:
        raise _Refused(f"their HighBit (0028,0102) is {high} with {stored} bits stored; {stored - 1} is taken.")
    if stored >= allocated:
        return values
    unused = allocated - stored
    kept = (values << unused) >> unused
    beyond = int((kept != values).sum())
    overlays = [data.get((group, 0x0102)) for group in range(0x6000, 0x6020, 2)]
    if beyond and not any(element and element.value for element in overlays):
        raise _Refused(f"{beyond} of them have bits set beyond the {stored} that BitsStored (0028,0101) says.")
    return kept


def _by_gdcm(data: pydicom.Dataset) -> np.ndarray:
    """Decode with GDCM, through a copy without rescale and geometry so that the stored values come back."""
    import pydicom
    import SimpleITK as sitk

    count = int(data.get("NumberOfFrames") or 1)
    plain = pydicom.Dataset()
    for name in ("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored",
                 "HighBit", "PixelRepresentation", "NumberOfFrames"):
        if name in data:
            setattr(plain, name, data[name].value)
    plain["PixelData"] = data["PixelData"]
    plain.SOPClassUID = SC_IMAGE if count == 1 else MULTI_FRAME_BYTE if data.BitsAllocated == 8 else MULTI_FRAME_WORD
    plain.SOPInstanceUID = "2.25.1"
    plain.file_meta = pydicom.dataset.FileMetaDataset()
    plain.file_meta.TransferSyntaxUID = data.file_meta.TransferSyntaxUID
    plain.file_meta.MediaStorageSOPClassUID, plain.file_meta.MediaStorageSOPInstanceUID = (
        plain.SOPClassUID, plain.SOPInstanceUID)
    with tempfile.TemporaryDirectory(prefix="pocket-infer-") as folder, gdcm_quiet(sitk):
        path = Path(folder) / "pixels.dcm"
        plain.save_as(path, enforce_file_format=True)
        return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO")))


def _check_jpeg(data: pydicom.Dataset) -> None:
    """Check that JPEG frames have the size that the header says; decoders allocate what the frames say.

    Raises:
        _Refused: A frame has another size, or none.
    """
    from pydicom.encaps import generate_frames

    count = int(data.get("NumberOfFrames") or 1)
    for number, frame in enumerate(generate_frames(data.PixelData, number_of_frames=count), start=1):
        size, at = None, 2
        while size is None and at + 9 <= len(frame) and frame[at] == 0xFF:
            if frame[at + 1] in JPEG_SIZES:
                size = int.from_bytes(frame[at + 5: at + 7], "big"), int.from_bytes(frame[at + 7: at + 9], "big")
            at += 2 + int.from_bytes(frame[at + 2: at + 4], "big")
        if size != (int(data.Rows), int(data.Columns)):
            raise _Refused(f"expected JPEG of {data.Rows} × {data.Columns} pixels, found "
                           f"{'none' if size is None else f'{size[0]} × {size[1]}'} in frame {number}.")


@contextmanager
def gdcm_quiet(sitk: ModuleType) -> Iterator[None]:
    """Silence GDCM's warnings."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def lossy(data: pydicom.Dataset) -> Any:
    """Return whether an image was compressed with loss."""
    return str(data.get("LossyImageCompression") or "") == "01"
