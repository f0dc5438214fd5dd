"""Postprocess a label map before it is written: remove components of labels, and fill holes in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from ..contracts.decisions import NOTHING, Operations
from ..contracts.labels import Label, overlapping
from ..preprocessing.boxes import Box, bounding_box, crop
from ..preprocessing.label_maps import mask


def postprocess(classes: np.ndarray, labels: Sequence[Label], chosen: Mapping[str, Operations],
                voxel_mm3: float | None) -> np.ndarray:
    """Apply each label's operations, in place: remove components of all labels first, then fill holes.

    A voxel that leaves a label becomes background; where labels overlap, it gets the last other label that it has. Only
    background is filled.

    Args:
        classes: (x, y, z) integers, 0 is background.
        labels: The labels; those that overlap in the order of writing.
        chosen: Operations by label; nothing is done for other labels.
        voxel_mm3: Volume of a voxel; None if it is unknown, then no component is too small.

    Returns:
        The same array.
    """
    if any(_removes(chosen.get(label.name, NOTHING), voxel_mm3) for label in labels):
        (_remove_from_regions if overlapping(labels) else _remove)(classes, labels, chosen, voxel_mm3)
    for label in labels:
        if chosen.get(label.name, NOTHING).fill_holes:
            where = mask(classes, label)
            if (box := around(where)) is not None:
                part = crop(classes, box)
                part[holes(crop(where, box), part != 0)] = label.value
    return classes


def holes(inside: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Return the holes of a mask: face-connected components of its complement that reach no side of the array.

    A component with a voxel that is `labelled` otherwise is no hole. Axes of a single voxel have no sides, so that a
    single slice has holes like an image.

    Args:
        inside: The mask.
        labelled: The voxels with any label.
    """
    numbers = components(~inside)
    hole = np.ones(int(numbers.max(initial=0)) + 1, bool)
    hole[0] = False
    for axis, side in enumerate(numbers.shape):
        if side > 1:
            hole[numbers.take([0, -1], axis)] = False
    hole[numbers[labelled & ~inside]] = False
    return hole[numbers]


def components(inside: np.ndarray) -> np.ndarray:
    """Return the number of each voxel's face-connected component, from 1, and 0 outside the mask."""
    from scipy.ndimage import label

    return cast(np.ndarray, label(inside)[0])


def sizes_of(numbers: np.ndarray, within: np.ndarray | None = None) -> np.ndarray:
    """Return the voxels of each component, by its number; 0 voxels outside all of them.

    Args:
        numbers: Of `components`.
        within: Counts only voxels of this mask.
    """
    sizes = np.zeros(int(numbers.max(initial=0)) + 1, np.int64)
    for index, plane in enumerate(numbers):  # plane by plane, because bincount converts its input to 64 bits
        found = np.bincount(plane.ravel() if within is None else plane[within[index]])
        sizes[: found.size] += found
    sizes[0] = 0
    return sizes


def kept(sizes: np.ndarray, operations: Operations, voxel_mm3: float | None) -> np.ndarray:
    """Return which components are kept.

    Args:
        sizes: Voxels of each component.
        operations: What is done with the label.
        voxel_mm3: As in `postprocess`.
    """
    keep = sizes > 0
    if operations.largest_component and sizes.size:
        keep &= np.arange(sizes.size) == sizes.argmax()
    if operations.smallest_mm3 and voxel_mm3 is not None:
        keep &= sizes * voxel_mm3 >= operations.smallest_mm3
    return keep


def _removes(operations: Operations, voxel_mm3: float | None) -> bool:
    return operations.largest_component or bool(operations.smallest_mm3 and voxel_mm3 is not None)


def _remove(classes: np.ndarray, labels: Sequence[Label], chosen: Mapping[str, Operations],
            voxel_mm3: float | None) -> None:
    from scipy.ndimage import find_objects

    by_value = {label.value: chosen.get(label.name, NOTHING) for label in labels}
    for value, box in enumerate(find_objects(classes), start=1):
        operations = by_value.get(value, NOTHING)
        if box is not None and _removes(operations, voxel_mm3):
            part = classes[box]
            part[_rest(part == value, operations, voxel_mm3)] = 0


def _remove_from_regions(classes: np.ndarray, labels: Sequence[Label], chosen: Mapping[str, Operations],
                         voxel_mm3: float | None) -> None:
    regions = [mask(classes, label) for label in labels]
    classes[:] = 0
    for label, region in zip(labels, regions, strict=True):
        if (box := bounding_box(region)) is not None:
            part = np.ascontiguousarray(crop(region, box))
            operations = chosen.get(label.name, NOTHING)
            if _removes(operations, voxel_mm3):
                part &= ~_rest(part.copy(), operations, voxel_mm3)
            crop(classes, box)[part] = label.value


def _rest(inside: np.ndarray, operations: Operations, voxel_mm3: float | None) -> np.ndarray:
    """Remove the components to keep from a mask, in place, and return the mask."""
    numbers = components(inside)
    goes = ~kept(sizes_of(numbers), operations, voxel_mm3)
    for plane, where in zip(inside, numbers, strict=True):
        plane &= goes[where]
    return inside


def around(inside: np.ndarray) -> Box | None:
    """Return the box around a mask, with one voxel more on each side within the array; None for an empty mask."""
    box = bounding_box(inside)
    return box and tuple((max(0, low - 1), min(n, high + 1))
                         for (low, high), n in zip(box, inside.shape, strict=True))
