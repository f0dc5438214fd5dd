"""One modality as every step sees it: stored voxels, grid, warnings; and the faults of its voxels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import nibabel as nib
import numpy as np

from ..errors import DataError
from ..text import counted
from .grid import Grid, Volume, ras_spacing

PART_BYTES = 64 * 2**20
"""Maximum bytes of float32 voxels that a pass over a scan holds at once."""
LARGEST_LABEL = 2**53
"""Label values up to this are exact in every data type of a label map."""


@dataclass(frozen=True)
class Channel:
    """The voxels of one modality.

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

    def parts(self) -> Iterator[np.ndarray]:
        """Yield all voxels as float32, a few planes at a time."""
        depth = planes_at_once(self.raw.shape[:2], 4)
        for start in range(0, self.raw.shape[2], depth):
            yield self.read(np.s_[:, :, start: start + depth])


@dataclass(frozen=True)
class Image:
    """One modality, read.

    Attributes:
        channel: The voxels.
        grid: The grid of the file or object, in mm.
        where: The file or object, for messages.
        warnings: Unusual findings that may be intended.
    """

    channel: Channel
    grid: Grid
    where: str
    warnings: tuple[str, ...] = ()

    def volume(self) -> Volume:
        """Return the voxels as float32."""
        data = np.ascontiguousarray(self.channel.read(np.s_[:, :, :]))
        return Volume(data, ras_spacing(self.grid), self.grid, self.warnings)

    def label_map(self) -> Volume:
        """Return the voxels as whole numbers, in a type that holds every value exactly.

        Raises:
            DataError: A value is not a whole number, or too large to be exact.
        """
        return Volume(_whole(self.channel, self.where), ras_spacing(self.grid), self.grid, self.warnings)


def planes_at_once(across: Sequence[int], bytes_per_voxel: int) -> int:
    """Return how many planes of (x, y) voxels fit into `PART_BYTES`, at least 1."""
    return max(1, PART_BYTES // (int(np.prod(across)) * bytes_per_voxel))


class Faults(NamedTuple):
    """Faults that make voxels unusable; a text is empty if there is no such fault.

    Attributes:
        not_finite: How many voxels are NaN or infinite.
        empty: That all voxels have the same value.
    """

    not_finite: str = ""
    empty: str = ""


def faults(channel: Channel) -> Faults:
    """Return what makes the voxels of an image unusable."""
    low, high, nan, infinite = np.inf, -np.inf, 0, 0
    for part in channel.parts():
        if not np.isfinite(part.sum(dtype=np.float64)):  # a float64 sum of float32 voxels cannot overflow
            nan += int(np.isnan(part).sum())
            infinite += int(np.isinf(part).sum())
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    if nan or infinite:
        counts = [f"{count} {what}" for count, what in ((nan, "NaN"), (infinite, "infinite")) if count]
        return Faults(f"{counted(nan + infinite, 'voxel is', 'voxels are')} NaN or infinite ({', '.join(counts)})")
    return Faults(empty=f"empty image: every voxel is {low:g}") if low == high else Faults()


def values(channel: Channel) -> np.ndarray:
    """Return the voxels of a label map as they are: in the file's type, or scaled in floating point."""
    raw = channel.raw.view(np.uint8) if channel.raw.dtype.kind == "b" else channel.raw
    if (channel.slope, channel.inter) != (1.0, 0.0):
        raw = nib.volumeutils.apply_read_scaling(raw, channel.slope, channel.inter)
    return np.ascontiguousarray(raw, dtype=raw.dtype.newbyteorder("="))


def inexact(labels: np.ndarray) -> str:
    """Return why the finite values of a label map may be other than those that were saved; empty if they are not."""
    largest = max(int(labels.max(initial=0)), -int(labels.min(initial=0)))
    most = 2 ** (np.finfo(labels.dtype).nmant + 1) if labels.dtype.kind == "f" else LARGEST_LABEL
    return "" if largest <= min(most, LARGEST_LABEL) else (
        f"label value {largest} is larger than {most}, the largest that {labels.dtype} surely holds exactly")


def _whole(channel: Channel, where: str) -> np.ndarray:
    """Return the values of a label map as integers; see `Image.label_map`."""
    found = values(channel)
    if found.dtype.kind == "f" and not (np.isfinite(found).all() and np.array_equal(np.rint(found), found)):
        raise DataError("The label map has values that are not whole numbers.", where=where)
    if fault := inexact(found):
        raise DataError(f"The label map cannot be used: {fault}.", where=where,
                        todo="Save it with an integer data type.")
    return found.astype(np.int64) if found.dtype.kind == "f" else found
