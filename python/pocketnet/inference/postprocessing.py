"""Postprocess a predicted label map before it is written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts.labels import Label
from ..preprocessing.boxes import bounding_box, crop
from ..preprocessing.label_maps import mask


def largest_components(classes: np.ndarray) -> np.ndarray:
    """Keep each class's largest face-connected component and set the rest to background, in place.

    Args:
        classes: (x, y, z) integers, 0 is background.

    Returns:
        The same array.

    Source: the paper, Section II-B4, applied per label with SimpleITK's `ConnectedComponent` in each class's box.
    """
    from scipy.ndimage import find_objects

    for value, box in enumerate(find_objects(classes), start=1):
        if box is not None:
            part = classes[box]
            part[_rest(part == value)] = 0
    return classes


def largest_regions(classes: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
    """Keep the largest face-connected component of each of several labels that overlap, in place.

    Args:
        classes: (x, y, z) integers, 0 is background.
        labels: The labels in the order of writing. A voxel that leaves a region gets the last other one that it has.

    Returns:
        The same array.
    """
    kept = [mask(classes, label) for label in labels]
    classes[:] = 0
    for label, region in zip(labels, kept, strict=True):
        if (box := bounding_box(region)) is not None:
            part = np.ascontiguousarray(crop(region, box))
            crop(classes, box)[part & ~_rest(part.copy())] = label.value
    return classes


def _rest(mask: np.ndarray) -> np.ndarray:
    """Remove the largest component from a mask, in place, and return the mask."""
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
