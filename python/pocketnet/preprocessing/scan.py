"""Read and preprocess a case's images part by part to limit memory: voxels stay in the file's data type until used.

Training and inference both use `PreparedScan`, so that a model sees the same preprocessing in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np

from ..contracts.case import Statistics
from ..contracts.plan import Preprocessing
from . import dicom, geometry
from .boxes import Box, bounds, slices, whole
from .case import Prepared, check_together
from .intensity import Moments, statistics_for
from .resample import needed_planes, resample_planes, resampled_shape

PART_BYTES = 64 * 2**20
"""Maximum bytes of float32 voxels that a pass over a scan holds at once."""


@dataclass(frozen=True)
class Channel:
    """One modality.

    Attributes:
        raw: (x, y, z) in RAS+, a view of the values stored in the file.
        slope, inter: The file's scaling of the stored values.
    """

    raw: np.ndarray
    slope: float = 1.0
    inter: float = 0.0

    def read(self, part: tuple[slice, ...], out: np.ndarray | None = None) -> np.ndarray:
        """Read a part as float32, into `out` if given; the scaling is bit-identical to nibabel's."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = nib.volumeutils.apply_read_scaling(self.raw[part], self.slope, self.inter)
            if out is None:
                return scaled.astype(np.float32)
            out[...] = scaled
        return out


@dataclass(frozen=True)
class Scan:
    """A case's modalities on one grid.

    Attributes:
        channels: Modalities in the model's order.
        spacing: mm along x, y, z.
        grid: Grid of the first file; None for a scan of an array.
    """

    channels: tuple[Channel, ...]
    spacing: tuple[float, float, float]
    grid: geometry.Grid | None = None

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


def planes_at_once(across: Sequence[int], bytes_per_voxel: int) -> int:
    """Return how many planes of (x, y) voxels fit into `PART_BYTES`, at least 1."""
    return max(1, PART_BYTES // (int(np.prod(across)) * bytes_per_voxel))


def read_scan(paths: Sequence[str | Path]) -> Scan:
    """Read a case's modalities, one file each. Files are read to their ends, so that `.gz` checksums are verified.

    Args:
        paths: Files, volumes of a 4D file (`scan.nii.gz[2]`), or DICOM series, in the model's order.

    Raises:
        DataError: A file cannot be read, has NaN or infinite voxels, or has a different grid than the first.
    """
    contents: dict[str, bytes] = {}
    channels, grids = [], []
    for path in paths:
        channel, grid = _read(path, contents)
        channels.append(channel)
        grids.append(grid)
    check_together(paths, grids, [_not_finite(channel) for channel in channels])
    return Scan(tuple(channels), geometry.ras_spacing(grids[0]), grids[0])


def _read(path: str | Path, contents: dict[str, bytes]) -> tuple[Channel, geometry.Grid]:
    """Read one modality and its grid; `contents` caches the last file, for several volumes of one file."""
    if dicom.is_series(Path(path)):
        data, grid = dicom.read(path)
        return Channel(geometry.to_ras(data, grid, copy=False)), grid
    file, volume = geometry.file_and_volume(path)
    if file not in contents:
        contents.clear()
        contents[file] = geometry.read_content(file)
    image = geometry.parse_content(contents[file], path)
    proxy = cast(nib.arrayproxy.ArrayProxy, image.dataobj)
    raw = np.ndarray(image.shape, proxy.dtype, contents[file], proxy.offset, order="F")
    raw = raw.reshape(image.shape[:3]) if volume is None else raw[..., volume]
    grid = geometry.Grid(cast(tuple[int, int, int], tuple(image.shape[:3])), image.affine, image.header)
    return Channel(geometry.to_ras(raw, grid, copy=False), proxy.slope, proxy.inter), grid


def _not_finite(channel: Channel) -> int:
    """Count NaN and infinite voxels; integer data with finite scaling are skipped."""
    if channel.raw.dtype.kind in "iu" and np.isfinite([channel.slope, channel.inter]).all():
        return 0
    depth = planes_at_once(channel.raw.shape[:2], 4)
    return sum(int((~np.isfinite(channel.read(np.s_[:, :, start: start + depth]))).sum())
               for start in range(0, channel.raw.shape[2], depth))


def scan_of(image: np.ndarray, spacing: Sequence[float]) -> Scan:
    """Make a scan from an array (x, y, z, channel) in RAS+ without copying it."""
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
        faces = []
        for axis, (low, high) in enumerate(self.box):
            for at in (low, high - 1):
                part = list(slices(self.box))
                part[axis] = slice(at, at + 1)
                faces.append((self.scan.read(tuple(part)) == 0).all(axis=-1).ravel())
        return bool(np.concatenate(faces).mean() > 0.5)

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
