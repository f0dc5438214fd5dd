"""Write a label map as a DICOM segmentation object that refers to its source series, with highdicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import __version__
from ..contracts.labels import Label
from ..errors import DataError
from ..files import atomic
from ..preprocessing import dicom, geometry
from .colours import colour

if TYPE_CHECKING:
    import highdicom
    import pydicom

SCHEME = "99POCKETNET"
"""Private coding scheme of the labels, because datasets define their own."""


def check(path: Path) -> None:
    """Check in advance that there is a series to refer to.

    Raises:
        DataError: The image is not a DICOM series.
    """
    if not dicom.is_series(path):
        raise DataError("A DICOM segmentation refers to a DICOM series, which this image is not.", where=str(path),
                        todo="Leave --dicom-seg out, or give the series' folder.")


def write_segmentation(path: Path, series: Path, classes: np.ndarray, grid: geometry.Grid,
                       labels: Sequence[Label]) -> None:
    """Write the segmentation atomically, with one segment per label.

    Args:
        path: The DICOM file to write.
        series: Folder or zip that the image was read from, with one file per slice.
        classes: (x, y, z) in RAS+.
        grid: Grid of the series.
        labels: The labels of `classes`.

    Raises:
        DataError: The series is a multi-frame file, or lacks attributes that DICOM requires of every image.
    """
    import highdicom
    import pydicom

    with dicom.unpacked(series) as folder:
        files = dicom.files_of(folder, series)
        if len(files) != grid.shape[2]:
            raise DataError(f"Expected a file a slice, {grid.shape[2]} of them, found {len(files)}: no segmentation of "
                            "a multi-frame image is written.", where=str(series), todo="Leave --dicom-seg out.")
        slices = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    for one in slices:
        _complete(one, grid.spacing[2])
    frames = np.ascontiguousarray(geometry.from_ras(classes, grid).T)
    try:
        made = highdicom.seg.Segmentation(
            source_images=slices, pixel_array=frames, segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[_described(label) for label in labels],
            series_instance_uid=highdicom.UID(), series_number=int(slices[0].get("SeriesNumber") or 0) + 1000,
            sop_instance_uid=highdicom.UID(), instance_number=1, manufacturer="PocketNet Suite",
            manufacturer_model_name="pocket-infer", software_versions=__version__, device_serial_number="0",
            series_description="Segmentation by pocket-infer, for research only", content_label="SEGMENTATION")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"No DICOM segmentation of this series can be made: {str(error).splitlines()[0][:160]}",
                        where=str(series), todo="Leave --dicom-seg out.") from None
    with atomic(path) as temporary:
        made.save_as(temporary)


def _complete(one: pydicom.Dataset, thickness: float) -> None:
    """Add missing attributes that DICOM requires but allows to be empty (type 2), and the slice thickness (mm)."""
    for name in ("AccessionNumber", "StudyID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "PatientID",
                 "PatientName", "ReferringPhysicianName"):
        if name not in one:
            setattr(one, name, None)
    if not one.get("SliceThickness"):
        one.SliceThickness = f"{thickness:.6g}"


def _described(label: Label) -> highdicom.seg.SegmentDescription:
    import highdicom
    from pydicom.sr.codedict import codes

    return highdicom.seg.SegmentDescription(
        segment_number=label.value, segment_label=label.name[:64],
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=highdicom.sr.CodedConcept(str(label.value), SCHEME, label.name[:64]),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="pocket-infer", version=__version__, family=codes.DCM.ArtificialIntelligence),
        display_color=highdicom.color.CIELabColor.from_rgb(*colour(label.value)))
