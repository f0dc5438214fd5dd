"""What happens to a predicted label map before it is written."""

from __future__ import annotations

import numpy as np


def largest_components(classes: np.ndarray) -> np.ndarray:
    """Keep each class's largest face-connected component; the rest becomes background.

    Args:
        classes: (x, y, z), 0 is background.

    Source: the paper, Section II-B4, per label; SimpleITK's `ConnectedComponent`.
    """
    import SimpleITK as sitk

    out = np.zeros_like(classes)
    for value in np.unique(classes[classes > 0]):
        mask = sitk.GetImageFromArray((classes == value).astype(np.uint8))
        components = sitk.GetArrayFromImage(sitk.ConnectedComponent(mask, False))
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        out[components == sizes.argmax()] = value
    return out
