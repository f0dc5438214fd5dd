"""Read the attributes of each slice: a file of a series, or a frame of a multi-frame file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from ...text import counted
from .headers import MOST_LINES, Header, quiet

if TYPE_CHECKING:
    import pydicom

COMPONENTS = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary", "MAGNITUDE": "magnitude",
              "PHASE": "phase", "REAL": "real", "IMAGINARY": "imaginary", "PHASE MAP": "phase", "M_FFE": "magnitude",
              "M_SE": "magnitude", "M_IR": "magnitude", "P_FFE": "phase", "P_SE": "phase", "R_FFE": "real",
              "I_FFE": "imaginary", "VELOCITY MAP": "velocity", "B0 MAP": "field map", "MIXED": "several components"}
"""Third value of ImageType and values of ComplexImageComponent."""
MARKS = {
    "stacks": ("StackID",),
    "components": ("ComplexImageComponent",),
    "echoes": ("EffectiveEchoTime", "EchoTime", "EchoNumbers"),
    "b-values": ("DiffusionBValue",),
    "inversion times": ("InversionTimes", "InversionTime"),
    "flip angles": ("FlipAngle",),
    "diffusion directions": ("DiffusionGradientOrientation",),
    "phases": ("TemporalPositionIndex", "TemporalPositionIdentifier"),
    "cardiac phases": ("NominalCardiacTriggerDelayTime", "TriggerTime", "NominalPercentageOfCardiacPhase"),
    "reconstructions": ("ConvolutionKernel",),
    "image types": ("FrameType", "ImageType"),
    "acquisitions": ("AcquisitionNumber",),
    "times": ("FrameReferenceDateTime", "FrameAcquisitionDateTime", "AcquisitionDateTime", "AcquisitionTime",
              "ContentTime"),
}
"""What may tell frames at the same place apart, and its attributes; the first that a frame has counts."""
REQUIRED = {"ImagePositionPatient": ("(0020,0032)", 3), "ImageOrientationPatient": ("(0020,0037)", 6),
            "PixelSpacing": ("(0028,0030)", 2)}
"""Attributes without which a slice has no place: tag and number of values."""


@dataclass(frozen=True)
class Frame:
    """A slice.

    Attributes:
        file: Its file.
        number: Number of the frame in the file, from 1; None in a file of a single image.
        shape: Rows and columns.
        position: Centre of the first pixel, mm in LPS.
        orientation: Directions along a row and down a column, in LPS.
        spacing: mm between rows and between columns.
        rescale: Slope and intercept from stored to real values.
        marks: What may tell it apart from others at the same place, by the keys of `MARKS`.
        localizer: Whether it is a localizer (scout).
        reference: The frame of reference that the position is in.
        alone: Whether its file is the only one of the series.
    """

    file: Path
    number: int | None
    shape: tuple[int, int]
    position: np.ndarray
    orientation: np.ndarray
    spacing: tuple[float, float]
    rescale: tuple[float, float] = (1.0, 0.0)
    marks: Mapping[str, str] = field(default_factory=dict)
    localizer: bool = False
    reference: str = ""
    alone: bool = False

    @property
    def name(self) -> str:
        """Name for messages."""
        if self.number is None:
            return self.file.name
        return f"frame {self.number}" if self.alone else f"{self.file.name} frame {self.number}"


def frames_of(headers: Sequence[Header], where: Path) -> list[Frame]:
    """Return the frames of a series' files, in the order of the files.

    Raises:
        DataError: A file is none of one number a pixel, lacks an attribute that says where it lies, or has values that
            make no sense.
    """
    out: list[Frame] = []
    lacking: dict[str, list[str]] = {}
    total = 0
    for header in headers:
        with quiet():
            try:
                _check_kind(header.data)
                for number, look in _looks(header.data):
                    total += 1
                    missing = [name for name in REQUIRED if look(name) in (None, "")]
                    for name in missing:
                        lacking.setdefault(name, []).append(
                            header.file.name if number is None else f"{header.file.name} frame {number}")
                    if not missing:
                        out.append(_frame(header, number, look, len(headers) == 1))
            except _Unfit as error:
                raise DataError(f"This DICOM image cannot be segmented: {error}", where=str(where),
                                problems=[header.file.name]) from None
            except Exception as error:  # pydicom raises errors of many types on values that break the standard
                raise DataError(f"The header of a DICOM file has invalid values: {str(error)[:160]}",
                                where=str(where), problems=[header.file.name]) from None
    if lacking:
        raise DataError("These DICOM images do not say where their pixels lie: "
                        + "; ".join(f"{name} {REQUIRED[name][0]} is missing in {len(names)} of {total}"
                                    for name, names in lacking.items()) + ".",
                        problems=[f"{name}: {', '.join(names[:4])}{' …' if len(names) > 4 else ''}"
                                  for name, names in lacking.items()][:MOST_LINES],
                        where=str(where), todo="Export the original series.")
    return out


class _Unfit(Exception):
    """The kind of image is not taken; the text gives the reason."""


def _check_kind(data: pydicom.Dataset) -> None:
    kind = str(data.get("PhotometricInterpretation") or "")
    if int(data.get("SamplesPerPixel") or 1) != 1:
        raise _Unfit(f"it is in colour ({kind}, {data.SamplesPerPixel} numbers a pixel); one number a pixel is taken.")
    if kind == "MONOCHROME1":
        raise _Unfit("its PhotometricInterpretation is MONOCHROME1, which shows large values dark; MONOCHROME2 is "
                     "taken.")
    if kind not in ("MONOCHROME2", ""):
        raise _Unfit(f"its PhotometricInterpretation is {kind}; MONOCHROME2 is taken.")
    if "MOSAIC" in (data.get("ImageType") or ()):
        raise _Unfit("it is a Siemens mosaic, which holds all slices side by side in one picture. Export it as an "
                     "enhanced or a classic series.")
    stored = int(data.get("BitsStored") or data.BitsAllocated)
    if not 1 <= stored <= int(data.BitsAllocated):
        raise _Unfit(f"its BitsStored (0028,0101) is {stored} of {data.BitsAllocated} allocated.")
    if int(data.BitsAllocated) not in (8, 16, 32, 64):
        raise _Unfit(f"it has {data.BitsAllocated} bits a pixel; 8, 16, 32 and 64 are taken.")


def _looks(data: pydicom.Dataset) -> Iterator[tuple[int | None, Any]]:
    """Yield for each frame its number, and the function that looks an attribute up for it."""
    per_frame = data.get("PerFrameFunctionalGroupsSequence")
    shared = _flat(data.SharedFunctionalGroupsSequence[0]) if data.get("SharedFunctionalGroupsSequence") else {}
    count = int(data.get("NumberOfFrames") or 1)
    if per_frame is None:
        if count > 1:
            yield from _classic(data, count)
        else:
            yield None, lambda name: shared.get(name, data.get(name))
        return
    if len(per_frame) != count:
        raise _Unfit(f"it announces {counted(count, 'frame')} and describes {len(per_frame)}.")
    for index, item in enumerate(per_frame):
        own = _flat(item)
        yield index + 1, lambda name, own=own: own.get(name, shared.get(name, data.get(name)))


def _classic(data: pydicom.Dataset, count: int) -> Iterator[tuple[int, Any]]:
    """Yield the frames of a multi-frame file of the classic kind, which has one position at most: the first frame's."""
    for index in range(count):
        yield index + 1, lambda name: None if name == "ImagePositionPatient" else data.get(name)


def _flat(item: pydicom.Dataset) -> dict[str, Any]:
    """Return all attributes in the functional groups of a frame by keyword, two levels deep.

    Private groups are left out: Philips' (2005,140f) has a copy of the classic header, whose ImagePositionPatient is
    the corner of the first pixel.
    """
    out: dict[str, Any] = {}
    for group in item:
        if group.VR == "SQ" and not group.tag.is_private:
            for inner in group.value[:1]:
                for element in inner:
                    if element.VR == "SQ" and not element.tag.is_private:
                        for deeper in element.value[:1]:
                            out.update({one.keyword: one.value for one in deeper if one.keyword and one.VR != "SQ"})
                    elif element.keyword:
                        out[element.keyword] = element.value
    return out


def _frame(header: Header, number: int | None, look: Any, alone: bool) -> Frame:
    numbers = {name: _numbers(look(name), name, count) for name, (_, count) in REQUIRED.items()}
    orientation = np.array(numbers["ImageOrientationPatient"])
    row, column = orientation[:3], orientation[3:]
    if max(abs(np.linalg.norm(row) - 1), abs(np.linalg.norm(column) - 1), abs(row @ column)) > 1e-3:
        raise _Unfit(f"its ImageOrientationPatient (0020,0037) {[float(x) for x in orientation]} is none of two "
                     "directions at a right angle.")
    if min(numbers["PixelSpacing"]) <= 0:
        raise _Unfit(f"its PixelSpacing (0028,0030) is {numbers['PixelSpacing']}.")
    slope, intercept = (float(default if look(name) in (None, "") else look(name))
                        for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0)))
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
        raise _Unfit(f"its RescaleSlope is {slope} and its RescaleIntercept {intercept}.")
    kind = look("FrameType") or look("ImageType") or ()
    types = [str(word).upper() for word in ([kind] if isinstance(kind, str) else kind)]
    return Frame(header.file, number, (int(header.data.Rows), int(header.data.Columns)),
                 np.array(numbers["ImagePositionPatient"]), orientation,
                 (numbers["PixelSpacing"][0], numbers["PixelSpacing"][1]), (slope, intercept), _marks(look, types),
                 "LOCALIZER" in types, str(header.data.get("FrameOfReferenceUID") or ""), alone)


def _numbers(value: Any, name: str, count: int) -> list[float]:
    try:
        numbers = [float(one) for one in value]
    except TypeError:
        numbers = [float(value)]
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise _Unfit(f"its {name} {REQUIRED[name][0]} is {numbers}; {count} finite numbers are needed.")
    return numbers


def _marks(look: Any, types: Sequence[str]) -> dict[str, str]:
    marks = {}
    for mark, names in MARKS.items():
        value = next((found for name in names if (found := look(name)) not in (None, "")), None)
        if value is not None:
            marks[mark] = _text(value)
    component = COMPONENTS.get(marks.get("components", "")) or next(
        (COMPONENTS[word] for word in types[2:] if word in COMPONENTS), None)
    if component:
        marks["components"] = component
    return marks


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        parts = list(value)
    except TypeError:
        parts = [value]
    return " ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
