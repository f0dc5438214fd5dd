"""`fingerprint.json`: what the images of a dataset are like."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from .base import Contract, Record, record
from .fields import AboveZero, CaseName, Count, Number, Shape, Spacing, Text

Sizes = Annotated[tuple[AboveZero, ...], Field(min_length=2, max_length=3)]


@record
class Intensities(Record):
    """A modality's intensities in a case's foreground, the voxels that are not zero.

    Attributes:
        modality: Its name.
        mean, std, minimum, maximum, p0_5, median, p99_5: Of the foreground; p are percentiles.
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
    """What a case is like.

    Attributes:
        shape: Voxels per RAS+ axis.
        spacing_mm: Per RAS+ axis.
        orientation: Of the file.
        cropped_shape: Voxels after cropping to those that are not zero in every modality.
        label_voxels: Voxels by class.
        intensities: By modality, in order.
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
        dataset: As in the manifest.
        cases: By case name.
        summary: Medians over cases.
    """

    kind: ClassVar[str] = "fingerprint"
    writer: ClassVar[str | None] = "check"
    dataset: Text
    cases: Annotated[dict[CaseName, CaseFingerprint], Field(min_length=1)]
    summary: Summary
