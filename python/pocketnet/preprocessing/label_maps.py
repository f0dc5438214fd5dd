"""Map the values of a dataset's label maps to the classes in stores, and classes to masks of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts import regions
from ..contracts.labels import Label, overlapping
from ..errors import DataError

MOST_CLASSES = 255
"""Maximum number of classes besides the background: label maps of classes are uint8."""
IGNORED = 255
"""Value of unannotated voxels in class maps."""


def most_classes(partly_annotated: bool) -> int:
    """Return the maximum number of classes, or combinations of regions, besides the background."""
    return IGNORED - 1 if partly_annotated else MOST_CLASSES


def map_labels(values: np.ndarray, labels: Sequence[Label], ignore: int | None = None) -> np.ndarray:
    """Map a dataset's label values to classes 0…K; values without a class become background.

    The classes of labels that overlap are combinations of regions (`contracts.regions`).

    Args:
        values: Integer array of any shape.
        labels: The labels to map: all labels of the manifest. A subset is possible if labels do not overlap.
        ignore: The manifest's `ignore`: voxels of this value become `IGNORED`.

    Returns:
        uint8 array of the same shape.

    Raises:
        DataError: There are more classes than uint8 holds.
    """
    most = most_classes(ignore is not None)
    if len(labels) > most:
        raise DataError(f"At most {most} classes can be learned, found {len(labels)}.")
    out = np.zeros(values.shape, np.uint8)
    if overlapping(labels):
        for value, stored in regions.stored_values({label.name: label.source_values for label in labels}).items():
            out[values == value] = stored
    else:
        for label in labels:
            out[np.isin(values, label.source_values)] = label.value
    if ignore is not None:
        out[values == ignore] = IGNORED
    return out


def mask(classes: np.ndarray, label: Label) -> np.ndarray:
    """Return the mask of a label in a stored or predicted class map."""
    return classes == label.value if label.parts is None else np.isin(classes, label.parts)


def annotated_labels(labels: Sequence[Label], names: Sequence[str] | None) -> list[Label]:
    """Return the labels that are annotated in a case: those in the list `names`, or all if it is None."""
    return [label for label in labels if names is None or label.name in names]
