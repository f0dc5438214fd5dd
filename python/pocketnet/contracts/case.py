"""`case.json` of a store: describes a preprocessed case; its arrays are in the same folder."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from .. import files
from .base import Contract, Record, record
from .fields import SHA256, CaseName, Count, Number, Path, Shape, Spacing, Text, absent

UNSEALED = "0" * 64
"""Value of `checksum` before it is computed."""
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
        sha256: Checksum per array file of the store.
        checksum: Checksum of all other keys, see `own_checksum`.
        class_name: Class of the case (classification).
        annotated: Names of the annotated labels, if not all labels were annotated.
        known: A sample of voxel indices that were annotated, background included, if some voxels were not.
    """

    kind: ClassVar[str] = "case"
    writer: ClassVar[str | None] = "preprocess"
    schema_version: ClassVar[int] = 2
    case: CaseName
    modalities: tuple[Text, ...]
    source_shape: Shape
    crop: tuple[tuple[Count, Count], ...]
    shape: Shape
    spacing_mm: Spacing
    statistics: tuple[Statistics, ...]
    foreground: dict[Text, tuple[Voxel, ...]]
    sha256: dict[Path, SHA256]
    checksum: SHA256
    class_name: Text | None = absent(alias="class")
    annotated: tuple[Text, ...] | None = absent()
    known: tuple[Voxel, ...] | None = absent()

    @model_validator(mode="after")
    def _check(self) -> Any:
        axes = len(self.shape)
        if not len(self.source_shape) == len(self.crop) == len(self.spacing_mm) == axes:
            raise ValueError(f"source_shape, crop and spacing_mm of {axes} axes, as shape has")
        if any(len(voxel) != axes for voxels in self.foreground.values() for voxel in voxels):
            raise ValueError(f"foreground voxels of {axes} axes, as shape has")
        if any(len(voxel) != axes for voxel in self.known or ()):
            raise ValueError(f"known voxels of {axes} axes, as shape has")
        if len(self.statistics) != len(self.modalities):
            raise ValueError(f"statistics of {len(self.modalities)} channels, as modalities has")
        return self

    def own_checksum(self) -> str:
        """Return the SHA-256 of all keys but `checksum`, as JSON with sorted keys and without spaces."""
        return files.digest({key: value for key, value in self.to_file().items() if key != "checksum"}, 64)
