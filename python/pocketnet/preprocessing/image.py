"""One modality as every step sees it: stored voxels, grid, warnings; and the faults of its voxels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import nibabel as nib
import numpy as np

from ..errors import DataError
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
        return Volume(data, ras_spacing(self.grid), self.grid)

    def label_map(self) -> Volume:
        """Return the voxels as whole numbers, in a type that holds every value exactly.

        Raises:
            DataError: A value is not a whole number, or too large to be exact.
        """
        return Volume(_whole(self.channel, self.where), ras_spacing(self.grid), self.grid)


def planes_at_once(across: Sequence[int], bytes_per_voxel: int) -> int:
    """Return how many planes of (x, y) voxels fit into `PART_BYTES`, at least 1."""
    return max(1, PART_BYTES // (int(np.prod(across)) * bytes_per_voxel))


class Faults(NamedTuple):
    """What makes voxels unusable; each text is empty if there is nothing to say.

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
        return Faults(f"{nan + infinite} voxels are NaN or infinite: {' and '.join(counts)} voxels")
    return Faults(empty=f"empty image: every voxel is {low:g}") if low == high else Faults()


def _whole(channel: Channel, where: str) -> np.ndarray:
    """Return the values of a label map as integers; see `Image.label_map`."""
    values = channel.raw
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    if (channel.slope, channel.inter) != (1.0, 0.0):
        values = nib.volumeutils.apply_read_scaling(values, channel.slope, channel.inter)
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or not np.array_equal(np.rint(values), values):
            raise DataError("The label map has values that are not whole numbers.", where=where)
        if np.abs(values).max(initial=0) > min(LARGEST_LABEL, 2 ** (np.finfo(values.dtype).nmant + 1)):
            raise DataError(f"The label map has values that {values.dtype} does not hold exactly: "
                            f"{float(np.abs(values).max()):.0f}.", where=where,
                            todo="Save it with an integer data type.")
        values = values.astype(np.int64)
    if values.size and int(values.max()) > LARGEST_LABEL:
        raise DataError(f"The label map has the value {int(values.max())}; the largest is {LARGEST_LABEL}.",
                        where=where)
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
