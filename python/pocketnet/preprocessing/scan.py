"""Read and preprocess a case's images part by part to limit memory: voxels stay in the file's data type until used.

Training and inference both use `PreparedScan`, so that a model sees the same preprocessing in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..contracts.case import Statistics
from ..contracts.plan import Preprocessing
from ..errors import DataError
from . import formats, geometry, nifti, reader
from .boxes import Box, bounds, slices, whole, zero_faces
from .case import Prepared, check_together
from .image import PART_BYTES as PART_BYTES
from .image import Channel, Image, faults, planes_at_once
from .intensity import Moments, statistics_for
from .resample import needed_planes, resample_planes, resampled_shape


@dataclass(frozen=True)
class Scan:
    """A case's modalities on one grid.

    Attributes:
        channels: Modalities in the model's order.
        spacing: mm along x, y, z.
        grid: Grid of the first modality; None for a scan of an unchecked array.
        warnings: Unusual findings about the images.
    """

    channels: tuple[Channel, ...]
    spacing: tuple[float, float, float]
    grid: geometry.Grid | None = None
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        return self.channels[0].raw.shape

    @property
    def nbytes(self) -> int:
        """Bytes of the stored values of all channels."""
        return sum(channel.raw.nbytes for channel in self.channels)

    def read(self, part: tuple[slice, ...]) -> np.ndarray:
        """Read a part, (x, y, z, channel) float32."""
        out = np.empty((*self.channels[0].raw[part].shape, len(self.channels)), np.float32)
        for index, channel in enumerate(self.channels):
            channel.read(part, out[..., index])
        return out

    def parts(self, box: Box | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the parts of the scan, or of a box, along z: the index of the first plane, and the voxels."""
        (*across, (low, high)) = box or whole(self.shape)
        sides = slices(across)
        depth = planes_at_once(self.shape[:2], 4 * len(self.channels))
        for start in range(low, high, depth):
            yield start, self.read((*sides, slice(start, min(start + depth, high))))

    def foreground_box(self) -> Box:
        """Return the box around the voxels that are non-zero in a channel; the whole scan if there are none."""
        hit = [np.zeros(n, bool) for n in self.shape]
        for start, part in self.parts():
            mask = (part != 0).any(axis=-1)
            hit[0] |= mask.any(axis=(1, 2))
            hit[1] |= mask.any(axis=(0, 2))
            hit[2][start: start + mask.shape[2]] = mask.any(axis=(0, 1))
        return tuple(bounds(axis) or (0, axis.size) for axis in hit)


def read_scan(sources: Any) -> Scan:
    """Read a case's modalities. Files are read to their ends, so that `.gz` checksums are verified.

    Args:
        sources: One source per modality in the model's order, as for `reader.read_image`, or a single one.

    Raises:
        DataError: A source cannot be read, is empty or constant, has NaN or infinite voxels, or has a different grid
            than the first.
    """
    sources = list(sources) if isinstance(sources, list | tuple) else [sources]
    unzipped: dict[str, tuple[bytes, tuple[str, ...]]] = {}
    images = []
    for index, source in enumerate(sources):
        file, volume = geometry.file_and_volume(source) if isinstance(source, str | Path) else ("", None)
        if volume is None or formats.is_picture(file) or not Path(file).is_file():
            images.append(reader.read_image(source, f"image {index}"))
            continue
        if file not in unzipped:  # several volumes of one file are decompressed once
            unzipped = {file: nifti.unzip(geometry.read_content(file), file)}
        content, warnings = unzipped[file]
        images.append(nifti.parse_unzipped(content, source, warnings))
    return scan_of_images(images)


def scan_of_images(images: Sequence[Image]) -> Scan:
    """Make a scan of a case's modalities, after checking that they can be used together.

    Raises:
        DataError: There is none, a modality is empty or constant, has NaN or infinite voxels, or has a different grid
            than the first.
    """
    if not images:
        raise DataError("Expected at least one image, found none.")
    grid = images[0].grid
    check_together([image.where for image in images], [image.grid for image in images],
                   [faults(image.channel) for image in images])
    several = len(images) > 1
    warnings = tuple(f"{Path(image.where).name}: {text}" if several else text
                     for image in images for text in image.warnings)
    return Scan(tuple(image.channel for image in images), geometry.ras_spacing(grid), grid, warnings)


def scan_of(image: np.ndarray, spacing: Sequence[float]) -> Scan:
    """Make a scan from an array (x, y, z, channel) in RAS+ without copying it; nothing is checked."""
    return Scan(tuple(Channel(image[..., index]) for index in range(image.shape[-1])),
                cast(tuple[float, float, float], tuple(map(float, spacing))))


class PreparedScan:
    """A scan that is cropped and resampled plane by plane, not yet normalised.

    Attributes:
        scan: The source.
        box: The crop, (start, stop) per axis of the scan.
        shape: Voxels per axis after resampling.
        spacing: mm per axis after resampling.
    """

    def __init__(self, scan: Scan, preprocessing: Preprocessing):
        self.scan, self._scheme = scan, preprocessing.normalisation
        self.box = scan.foreground_box() if preprocessing.crop == "nonzero" else whole(scan.shape)
        self.cropped = tuple(stop - start for start, stop in self.box)
        self.spacing = preprocessing.spacing_mm or scan.spacing
        self.shape = resampled_shape(self.cropped, scan.spacing, self.spacing)

    def planes(self, start: int, stop: int) -> np.ndarray:
        """Compute the planes from `start` to `stop` along z, (x, y, planes, channel) float32."""
        low, high = needed_planes(self.cropped[2], self.shape[2], start, stop)
        (x, y, z) = self.box
        part = self.scan.read((slice(*x), slice(*y), slice(z[0] + low, z[0] + high)))
        return resample_planes(part, low, self.cropped[2], self.shape, start, stop)

    def compute(self) -> Prepared:
        """Compute all planes at once, with their statistics."""
        image = np.ascontiguousarray(self.planes(0, self.shape[2]))
        return Prepared(image, tuple(map(float, self.spacing)), self.scan.shape, self.box,
                        statistics_for(image, self._scheme))

    @cached_property
    def background_is_zero(self) -> bool:
        """Whether zero is background (`zscore`) and fills most of the box's faces, as in a skull-stripped head."""
        if self._scheme != "zscore":
            return False
        return zero_faces(self.scan.read, self.box)

    @cached_property
    def statistics(self) -> Sequence[Statistics]:
        """Statistics of the whole scan for the normalisation (`intensity.statistics_for`); empty for `window`."""
        if self._scheme == "window":
            return []
        moments = Moments(len(self.scan.channels), self._scheme)
        depth = planes_at_once(self.shape[:2], 4 * len(self.scan.channels))
        for start in range(0, self.shape[2], depth):
            moments.add(self.planes(start, min(start + depth, self.shape[2])))
        return moments.statistics()
