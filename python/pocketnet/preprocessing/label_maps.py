"""The meaning of label maps: from a dataset's values to the classes that stores hold, and back to masks of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts.labels import Label
from ..errors import DataError

MOST_CLASSES = 255
"""Maximum number of classes besides the background: label maps of classes are uint8."""
IGNORED = 255
"""Value of a class map at voxels that nobody annotated, in datasets that have such voxels."""


def most_classes(partly_annotated: bool) -> int:
    """Return the maximum number of classes besides the background."""
    return IGNORED - 1 if partly_annotated else MOST_CLASSES


def map_labels(values: np.ndarray, labels: Sequence[Label], ignore: int | None = None) -> np.ndarray:
    """Map a dataset's label values to classes 0…K; values without a class become background.

    Args:
        values: Integer array of any shape.
        labels: The labels to map, of the manifest or some of them.
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
    for label in labels:
        out[np.isin(values, label.source_values)] = label.value
    if ignore is not None:
        out[values == ignore] = IGNORED
    return out


def annotated_labels(labels: Sequence[Label], names: Sequence[str] | None) -> list[Label]:
    """Return the labels that were annotated in a case: those of the list `names`; without a list, all."""
    return [label for label in labels if names is None or label.name in names]
