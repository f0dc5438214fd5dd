"""Boxes of voxels: around what counts, cut out of an array, and larger than an array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

Box = tuple[tuple[int, int], ...]
"""(start, stop) per axis."""


def whole(shape: Sequence[int]) -> Box:
    """The box of an array of this shape."""
    return tuple((0, n) for n in shape)


def slices(box: Iterable[tuple[int, int]]) -> tuple[slice, ...]:
    """A box as an index of an array."""
    return tuple(slice(start, stop) for start, stop in box)


def crop(array: np.ndarray, box: Box) -> np.ndarray:
    """The part of `array` in `box` (its leading axes)."""
    return array[slices(box)]


def bounding_box(mask: np.ndarray) -> Box | None:
    """The smallest box around the true voxels, None when there are none.

    `scipy.ndimage.find_objects` gives the same, but looks at each voxel by itself: 100 ms instead of 2 ms for a mask of
    240×240×155 voxels.
    """
    box = whole(mask.shape)
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        side = bounds(np.asarray(crop(mask, box).any(axis=others)))
        if side is None:
            return None
        box = (*box[:axis], side, *box[axis + 1:])
    return box


def bounds(hit: np.ndarray) -> tuple[int, int] | None:
    """The first true place of an axis and the one after the last, None when there is none."""
    found = np.flatnonzero(hit)
    return (int(found[0]), int(found[-1]) + 1) if found.size else None


def centred(size: int, side: int) -> int:
    """Where a window of `side` voxels starts that is centred on an axis of `size <= side` voxels; 0 or negative."""
    return -((side - size) // 2)


def foreground_box(image: np.ndarray) -> Box:
    """The box of voxels that are not zero in at least one channel.

    Args:
        image: (x, y, z, channel). An image without foreground gives its whole extent.
    """
    return bounding_box((image != 0).any(axis=-1)) or whole(image.shape[:-1])
