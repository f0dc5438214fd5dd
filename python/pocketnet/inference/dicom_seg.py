"""Write a label map as a DICOM segmentation object that refers to its source series, with highdicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import __version__
from ..contracts.labels import Concept, Label, overlapping
from ..errors import DataError, first_line
from ..evaluation.statement.apply import Statement
from ..files import atomic
from ..preprocessing import dicom, geometry
from ..preprocessing.label_maps import mask
from .colours import colour
from .segment_codes import code_of

if TYPE_CHECKING:
    import highdicom
    import pydicom

NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")
"""Attributes that a segmentation takes from each of its source images."""
EMPTY_ALLOWED = ("AccessionNumber", "StudyID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "PatientID",
                 "PatientName", "ReferringPhysicianName")
"""Attributes that DICOM requires and allows to be empty (type 2)."""
ORIGIN = ("InstitutionName", "InstitutionAddress", "InstitutionCodeSequence", "InstitutionalDepartmentName",
          "InstitutionalDepartmentTypeCodeSequence", "StationName", "DeviceSerialNumber", "DeviceUID", "GantryID",
          "PatientComments", "AdditionalPatientHistory", "ContributingEquipmentSequence")
"""Attributes of the source that say which hospital and device made it, or hold free text about the patient."""


MOST_COMMENT = 10240
"""Maximum characters of a DICOM long text."""


def check(path: Path, labels: Sequence[Label] = (Label("label", 1, (1,)),)) -> None:
    """Check before a prediction that its segmentation can be written, by making one of the same series.

    Args:
        path: The image.
        labels: The labels of the segmentation.

    Raises:
        DataError: The image is not a DICOM series, or lacks what a segmentation takes from it; the message says what.
    """
    if not (dicom.is_series(path) or dicom.is_dicom_file(path)):
        raise DataError("A DICOM segmentation refers to a DICOM series, which this image is not.", where=str(path),
                        todo="Leave --dicom-seg out, or give the series' folder.")
    with dicom.unpacked(path) as folder:
        series = dicom.open_series(folder, path)
    columns, rows, count = series.grid.shape
    trial = np.zeros((count, rows, columns), np.uint8)
    trial[0, 0, 0] = labels[0].value
    _make(series, trial, labels, path, keep_origin=False)


def write_segmentation(path: Path, series: Path, classes: np.ndarray, grid: geometry.Grid,
                       labels: Sequence[Label], *, keep_origin: bool = False, said: Statement | None = None) -> None:
    """Write the segmentation atomically, with one segment per label.

    Args:
        path: The DICOM file to write.
        series: Folder, zip or multi-frame file that the image was read from.
        classes: (x, y, z) in RAS+.
        grid: Grid of the series.
        labels: The labels of `classes`.
        keep_origin: Whether to copy the source's attributes in `ORIGIN`.
        said: The statement on the case, which the segments' descriptions and the comments have.

    Raises:
        DataError: The series lacks attributes that DICOM requires of every image.
    """
    with dicom.unpacked(series) as folder:
        source = dicom.open_series(folder, series)
    frames = np.ascontiguousarray(geometry.from_ras(classes, grid).T)
    made = _make(source, frames, labels, series, keep_origin=keep_origin)
    if said:
        _add_statement(made, said, labels)
    with atomic(path) as temporary:
        made.save_as(temporary)


def _add_statement(made: pydicom.Dataset, said: Statement, labels: Sequence[Label]) -> None:
    """Add a statement: all of it as comments, each label's figures as description of its segment too."""
    names = {label.value: label.name for label in labels}
    made.ImageComments = "\n".join(said.lines())[:MOST_COMMENT]
    for segment in made.SegmentSequence:
        name = names.get(int(segment.SegmentNumber), "")
        if name in said.labels and (words := said.of_label(name)):
            segment.SegmentDescription = words


def _make(series: dicom.Series, frames: np.ndarray, labels: Sequence[Label], where: Path, *,
          keep_origin: bool) -> highdicom.seg.Segmentation:
    """Make a segmentation; `frames` are (frame, row, column) in order of place."""
    import highdicom

    sources, order = _sources(series, where, keep_origin)
    first = sources[0]
    try:
        with dicom.quiet():
            return highdicom.seg.Segmentation(
                source_images=sources, pixel_array=_segments(frames[order], labels),
                segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=[_described(label) for label in labels],
                series_instance_uid=highdicom.UID(), series_number=int(first.get("SeriesNumber") or 0) + 1000,
                sop_instance_uid=highdicom.UID(), instance_number=1, manufacturer="PocketNet Suite",
                manufacturer_model_name="pocket-infer", software_versions=__version__, device_serial_number="0",
                series_description="Segmentation by pocket-infer, for research only", content_label="SEGMENTATION")
    except Exception as error:  # highdicom raises errors of many types on attributes that break the standard
        raise DataError(f"No DICOM segmentation of this series can be made: {first_line(error)}", where=str(where),
                        todo="Leave --dicom-seg out.") from None


def _segments(frames: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
    """Return the classes; for labels that overlap, a mask per label, (frame, row, column, label)."""
    if not overlapping(labels):
        return frames
    return np.stack([mask(frames, label) for label in labels], axis=-1).astype(np.uint8)


def _sources(series: dicom.Series, where: Path, keep_origin: bool) -> tuple[list[pydicom.Dataset], list[int]]:
    """Return the source images for highdicom, and for each of their frames the index of its slice.

    Raises:
        DataError: The images lack what a segmentation needs, or not all frames of a file are slices of the volume.
    """
    by_file = {header.file: header.data for header in series.headers}
    lacking = [f"{header.file.name}: {', '.join(missing)}" for header in series.headers
               if (missing := [name for name in NEEDED if not header.data.get(name)])]
    if lacking:
        raise DataError("No DICOM segmentation of this series can be made: its images lack attributes that a "
                        "segmentation refers to.", where=str(where), problems=lacking[:8],
                        todo="Leave --dicom-seg out.")
    if series.frames[0].number is None:
        sources, order = [by_file[frame.file] for frame in series.frames], list(range(len(series.frames)))
    else:
        sources = list(by_file.values())
        slice_of = {frame.number: index for index, frame in enumerate(series.frames)}
        count = int(sources[0].get("NumberOfFrames") or 1)
        if len(sources) > 1 or len(slice_of) != count:
            raise DataError(f"No DICOM segmentation of this series can be made: {len(series.frames)} slices lie in "
                            f"{len(sources)} multi-frame files; all frames of one file are expected.",
                            where=str(where), todo="Leave --dicom-seg out.")
        order = [slice_of[number] for number in range(1, count + 1)]
    for one in sources:
        for name in EMPTY_ALLOWED:
            if name not in one:
                setattr(one, name, None)
        if series.frames[0].number is None and not one.get("SliceThickness"):
            one.SliceThickness = f"{series.grid.spacing[2]:.6g}"
        if not keep_origin:
            for name in ORIGIN:
                if name in one:
                    delattr(one, name)
    return sources, order


def _described(label: Label) -> highdicom.seg.SegmentDescription:
    import highdicom
    from pydicom.sr.codedict import codes

    code = code_of(label)
    made = highdicom.seg.SegmentDescription(
        segment_number=label.value, segment_label=label.name[:64],
        segmented_property_category=_coded(code.category) if code.category else codes.SCT.AnatomicalStructure,
        segmented_property_type=_coded(code.type),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="pocket-infer", version=__version__, family=codes.DCM.ArtificialIntelligence),
        display_color=highdicom.color.CIELabColor.from_rgb(*colour(label.value)))
    if code.modifier:
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_coded(code.modifier)]
    return made


def _coded(concept: Concept) -> highdicom.sr.CodedConcept:
    import highdicom

    return highdicom.sr.CodedConcept(concept.value, concept.scheme, concept.meaning)
