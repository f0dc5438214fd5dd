"""`fingerprint.json`: properties of a dataset's images."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import Contract, Record, record
from .fields import AboveZero, CaseName, Count, Number, Shape, Spacing, Text

Sizes = Annotated[tuple[AboveZero, ...], Field(min_length=2, max_length=3)]


@record
class Intensities(Record):
    """Intensities of one modality of a case.

    Attributes:
        modality: Name of the modality.
        mean, std, minimum, maximum, p0_5, median, p99_5: Over the foreground (non-zero) voxels; p0_5 and p99_5 are the
            0.5th and 99.5th percentile.
        voxels: Number of foreground voxels.
        sample: Intensities of labelled voxels, evenly spaced in scan order.
    """

    modality: Text
    mean: Number
    std: Number
    minimum: Number
    maximum: Number
    p0_5: Number
    median: Number
    p99_5: Number
    voxels: Count
    sample: tuple[Number, ...]


@record
class CaseFingerprint(Record):
    """Properties of a case.

    Attributes:
        shape: Voxels per RAS+ axis.
        spacing_mm: Spacing per RAS+ axis in mm.
        orientation: Orientation of the file.
        cropped_shape: Voxels per RAS+ axis after cropping to the voxels that are non-zero in every modality.
        label_voxels: Number of voxels per class.
        intensities: Intensities per modality, in order.
    """

    shape: Shape
    spacing_mm: Spacing
    orientation: Text
    cropped_shape: Shape
    label_voxels: dict[Text, Count]
    intensities: Annotated[tuple[Intensities, ...], Field(min_length=1)]


@record
class Summary(Record):
    """Medians over cases, per RAS+ axis."""

    shape: Sizes
    cropped_shape: Sizes
    spacing_mm: Spacing


@record
class Fingerprint(Contract):
    """A dataset's fingerprint.

    Attributes:
        dataset: Name of the dataset, as in the manifest.
        cases: Properties per case name.
        summary: Medians over cases.
    """

    kind: ClassVar[str] = "fingerprint"
    writer: ClassVar[str | None] = "check"
    dataset: Text
    cases: Annotated[dict[CaseName, CaseFingerprint], Field(min_length=1)]
    summary: Summary
