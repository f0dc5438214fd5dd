"""What happens to a predicted label map before it is written."""

from __future__ import annotations

import numpy as np


def largest_components(classes: np.ndarray) -> np.ndarray:
    """Keep each class's largest face-connected component; the rest becomes background. Works in place.

    Args:
        classes: (x, y, z), 0 is background.

    Returns:
        The same array.

    Source: the paper, Section II-B4, per label; SimpleITK's `ConnectedComponent`.
    """
    counts = np.zeros(256, np.int64)
    for plane in classes:
        counts += np.bincount(plane.ravel(), minlength=256)
    for value in np.flatnonzero(counts[1:]) + 1:
        box = _box(classes, value)
        part = classes[box]
        part[_rest(part == value)] = 0
    return classes


def _box(classes: np.ndarray, value: int) -> tuple[slice, ...]:
    """Where a class is, so that only that is looked at; plane by plane, without a mask of the whole."""
    hit = [np.zeros(n, bool) for n in classes.shape]
    for x, plane in enumerate(classes):
        mask = plane == value
        hit[0][x] = mask.any()
        hit[1] |= mask.any(axis=1)
        hit[2] |= mask.any(axis=0)
    return tuple(slice(int(axis.argmax()), int(axis.size - axis[::-1].argmax())) for axis in hit)


def _rest(mask: np.ndarray) -> np.ndarray:
    """The mask without its largest component; works in place."""
    import SimpleITK as sitk

    components = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.view(np.uint8)), False)
    numbers = sitk.GetArrayViewFromImage(components)
    sizes = np.zeros(1, np.int64)
    for plane in numbers:
        found = np.bincount(plane.ravel())
        sizes = np.pad(sizes, (0, max(0, found.size - sizes.size)))
        sizes[: found.size] += found
    sizes[0] = 0
    largest = sizes.argmax()
    for plane, where in zip(mask, numbers, strict=True):
        plane &= where != largest
    return mask
