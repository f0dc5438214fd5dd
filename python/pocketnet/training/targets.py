"""Training targets for incomplete annotation and for regions: one channel per class.

A plain target is a class map. With incomplete annotation, a voxel may have several possible classes:

- An unannotated voxel may belong to any class.
- If some labels of a case are not annotated, a voxel outside the annotated labels belongs to the background or to one
  of the unannotated labels. In this case, the background and the unannotated labels are merged into one class.

A target with channels is uint8. Bit `POSSIBLE` of a channel tells whether the voxel may belong to the class. Bit
`MERGED` tells whether the class is merged with the background in this case. `losses` describes the losses.

Overlapping labels (regions) have one channel each, without a background channel. Bit `INSIDE` of a channel tells
whether the voxel belongs to the region, bit `UNKNOWN` whether this is unknown because it is not annotated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..contracts.labels import Label, overlapping
from ..preprocessing.label_maps import IGNORED, annotated_labels, mask

POSSIBLE, MERGED = INSIDE, UNKNOWN = 1, 2


def possible_classes(classes: np.ndarray, labels: Sequence[Label], annotated: Sequence[str] | None) -> np.ndarray:
    """Return a target with channels.

    Args:
        classes: Stored classes of any shape, `IGNORED` at unannotated voxels.
        labels: The plan's labels.
        annotated: Names of the labels that are annotated in the case; None: all.

    Returns:
        (…, 1 + labels) uint8, background first.
    """
    channels = np.arange(len(labels) + 1, dtype=np.uint8)
    known = {0, *(label.value for label in annotated_labels(labels, annotated))}
    merged = np.array([value not in known for value in channels])
    out = (classes[..., None] == channels) | (classes == IGNORED)[..., None] | ((classes == 0)[..., None] & merged)
    return out.astype(np.uint8) * POSSIBLE + merged.astype(np.uint8) * MERGED


def regions(classes: np.ndarray, labels: Sequence[Label], annotated: Sequence[str] | None) -> np.ndarray:
    """Return a target for overlapping labels; see `possible_classes` for the arguments.

    Returns:
        (…, labels) uint8.
    """
    known = annotated_labels(labels, annotated)
    unannotated = classes == IGNORED
    return np.stack([mask(classes, label) * np.uint8(INSIDE) if label in known else
                     np.full(classes.shape, UNKNOWN, np.uint8) for label in labels],
                    axis=-1) | (unannotated * np.uint8(UNKNOWN))[..., None]


def drawn(target: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
    """Return a target as a class map for pictures: background where a voxel has several possible classes."""
    if overlapping(labels):
        inside = target == INSIDE
        return np.where(inside.any(axis=-1), len(labels) - inside[..., ::-1].argmax(axis=-1), 0).astype(np.uint8)
    return (target & POSSIBLE).argmax(axis=-1).astype(np.uint8)


def masks(probabilities: np.ndarray, target: np.ndarray, labels: Sequence[Label]
          ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the predicted and the true mask of each annotated label of a sample, without unannotated voxels.

    Args:
        probabilities: (*patch, classes).
        target: Class map (*patch), or target with channels (*patch, classes).
        labels: The plan's labels.
    """
    if overlapping(labels):
        for channel in range(len(labels)):
            known = (target[..., channel] & UNKNOWN) == 0
            if known.any():
                yield (probabilities[..., channel] > 0.5) & known, (target[..., channel] & INSIDE).astype(bool) & known
        return
    predicted = probabilities.argmax(axis=-1)
    channels = range(1, probabilities.shape[-1])
    if target.ndim == predicted.ndim:
        yield from ((predicted == value, target == value) for value in channels)
        return
    known = ~(target & POSSIBLE).all(axis=-1)
    for value in channels:
        if not (target[..., value] & MERGED).any():
            yield (predicted == value) & known, (target[..., value] & POSSIBLE).astype(bool) & known
