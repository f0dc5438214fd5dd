"""`case.json` of a store: describes a preprocessed case; its arrays are in the same folder."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from .base import Contract, Record, record
from .fields import CaseName, Count, Number, Path, Shape, Spacing, Text, absent

Voxel = Annotated[tuple[Count, ...], Field(min_length=2, max_length=3)]


@record
class Statistics(Record):
    """A channel's mean and standard deviation, for normalisation."""

    mean: Number
    std: Number


@record
class StoredCase(Contract):
    """A preprocessed case.

    Attributes:
        case: Name of the case.
        modalities: Channels of the image, in order.
        source_shape: Voxels per RAS+ axis before cropping.
        crop: (start, stop) per axis, in voxels of `source_shape`.
        shape: Voxels per axis of the stored image.
        spacing_mm: Voxel spacing per axis of the stored image.
        statistics: Mean and standard deviation per channel.
        foreground: A sample of voxel indices per label.
        sha256: Checksum per file of the store.
        class_name: Class of the case (classification).
    """

    kind: ClassVar[str] = "case"
    writer: ClassVar[str | None] = "preprocess"
    case: CaseName
    modalities: tuple[Text, ...]
    source_shape: Shape
    crop: tuple[tuple[Count, Count], ...]
    shape: Shape
    spacing_mm: Spacing
    statistics: tuple[Statistics, ...]
    foreground: dict[Text, tuple[Voxel, ...]]
    sha256: dict[Path, Text]
    class_name: Text | None = absent(alias="class")

    @model_validator(mode="after")
    def _check(self) -> Any:
        axes = len(self.shape)
        if not len(self.source_shape) == len(self.crop) == len(self.spacing_mm) == axes:
            raise ValueError(f"source_shape, crop and spacing_mm of {axes} axes, as shape has")
        if len(self.statistics) != len(self.modalities):
            raise ValueError(f"statistics of {len(self.modalities)} channels, as modalities has")
        return self
