"""The ranges of a fold's training images, in `splits.json` and in `provenance.json` of a model folder."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from .base import Record, record
from .fields import Number, Positive, Text


@record
class Spread(Record):
    """Minimum, median and maximum of a quantity over the training cases."""

    minimum: Number
    median: Number
    maximum: Number

    @model_validator(mode="after")
    def _check(self) -> Any:
        if not self.minimum <= self.median <= self.maximum:
            raise ValueError("a minimum, median and maximum in this order")
        return self


Axes = Annotated[tuple[Spread, ...], Field(min_length=2, max_length=3)]


@record
class ModalityRanges(Record):
    """Intensities of one modality, over the non-zero voxels of a case.

    Attributes:
        modality: Name of the modality.
        p0_5, median, p99_5: The median, and the 0.5th and 99.5th percentile, in the image's units.
        low, middle, high: p0_5, median and p99_5 in standard deviations from the mean. They do not depend on the
            image's units.
    """

    modality: Text
    p0_5: Spread
    median: Spread
    p99_5: Spread
    low: Spread
    middle: Spread
    high: Spread


@record
class TrainingRanges(Record):
    """Ranges of a fold's training images, with which `preprocessing.ranges` compares other images.

    Attributes:
        cases: Number of training cases.
        spacing_mm: Voxel spacing per RAS+ axis (1 for images of a classification).
        extent_mm: Field of view per RAS+ axis: voxels times spacing (pixels for images of a classification).
        intensities: Intensities per modality, in order.
    """

    cases: Positive
    spacing_mm: Axes
    extent_mm: Axes
    intensities: Annotated[tuple[ModalityRanges, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Any:
        if len(self.spacing_mm) != len(self.extent_mm):
            raise ValueError("spacing_mm and extent_mm with the same number of axes")
        if min(axis.minimum for axis in (*self.spacing_mm, *self.extent_mm)) <= 0:
            raise ValueError("a spacing_mm and an extent_mm > 0")
        return self
