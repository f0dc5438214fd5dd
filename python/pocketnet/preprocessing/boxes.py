"""Compute boxes of voxels and crop arrays to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

Box = tuple[tuple[int, int], ...]
"""(start, stop) per axis."""
Plane = TypeVar("Plane", bound=tuple[Any, ...])


def whole(shape: Sequence[int]) -> Box:
    """Return the box that covers an array of this shape."""
    return tuple((0, n) for n in shape)


def slices(box: Iterable[tuple[int, int]]) -> tuple[slice, ...]:
    """Convert a box to an array index."""
    return tuple(slice(start, stop) for start, stop in box)


def crop(array: np.ndarray, box: Box) -> np.ndarray:
    """Crop the leading axes of an array to a box."""
    return array[slices(box)]


def bounding_box(mask: np.ndarray) -> Box | None:
    """Return the smallest box around the true voxels; None without true voxels.

    `scipy.ndimage.find_objects` returns the same box, but visits each voxel: 100 ms instead of 2 ms for a mask of
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
    """Return the index of the first true element and the index after the last; None without true elements."""
    found = np.flatnonzero(hit)
    return (int(found[0]), int(found[-1]) + 1) if found.size else None


def centred(size: int, side: int) -> int:
    """Return the start (0 or negative) of a window of `side` voxels centred on an axis of `size <= side` voxels."""
    return -((side - size) // 2)


def planes_to_show(shape: Sequence[int], planes: Sequence[Plane]) -> Sequence[Plane]:
    """Return the planes that show something of an array: of a single slice, only its own plane.

    Args:
        shape: Shape of the array.
        planes: Planes, each with the axis normal to it as its second entry.
    """
    return [plane for plane in planes if shape[plane[1]] == 1] or planes


def zero_faces(read: Callable[[tuple[slice, ...]], np.ndarray], box: Box) -> bool:
    """Return whether most voxels on the faces of a box are 0 in all channels.

    Args:
        read: Returns a part of the image, (x, y, z, channel).
        box: The box, (start, stop) per axis.
    """
    faces = []
    for axis, (low, high) in enumerate(box):
        for at in (low, high - 1):
            part = list(slices(box))
            part[axis] = slice(at, at + 1)
            faces.append((read(tuple(part)) == 0).all(axis=-1).ravel())
    return bool(np.concatenate(faces).mean() > 0.5)
