"""Compare a predicted with a reference mask lesion by lesion: how many are found, how many are false, and how well.

- A lesion is a connected component; voxels that touch by a face, an edge or a corner are connected.
- A lesion of the reference is found if at least one of its voxels is predicted. What is predicted of it are the
  predicted components that touch it. A predicted component that touches no lesion is a false positive.
- Lesion-wise Dice is the sum of the Dice of each lesion of the reference with what is predicted of it, divided by the
  number of lesions and false positives. The BraTS challenge scores lesions in the same way (Saluja et al., 2023), but
  first dilates the reference, so that nearby components are one lesion, and leaves out lesions below a volume that
  differs by challenge. Here every component counts.
- Panoptic quality matches components whose intersection over union (IoU) is above 0.5: the sum of these IoU, divided by
  the number of matches plus half of the unmatched components of both masks (Kirillov et al., CVPR 2019, Eq. 1).
- If neither mask has the label, every value but the counts is NaN. Without lesions in the reference, the sensitivity
  is NaN, and the others are 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LESION_METRICS = ("lesion_dice", "lesion_sensitivity", "false_lesions", "panoptic_quality")
LESION_COLUMNS = ("lesions", *LESION_METRICS)
SEVERAL_LESIONS = 1.5
"""From this mean number of lesions per case on, a label's lesion-wise metrics are shown."""
SAME = 0.5
"""A match has a larger IoU than this; every component then has one match at most."""


@dataclass(frozen=True)
class Lesions:
    """Lesion-wise metrics of one label in one case.

    Attributes:
        lesions: Lesions of the reference.
        lesion_dice: Lesion-wise Dice, 0 to 1.
        lesion_sensitivity: Share of the reference's lesions that are found, 0 to 1.
        false_lesions: Predicted components that touch no lesion of the reference.
        panoptic_quality: Panoptic quality, 0 to 1.
    """

    lesions: int
    lesion_dice: float
    lesion_sensitivity: float
    false_lesions: int
    panoptic_quality: float


def measure(reference: np.ndarray, prediction: np.ndarray) -> Lesions:
    """Compute all lesion-wise metrics of one label.

    Args:
        reference: Boolean mask, 2D or 3D.
        prediction: Boolean mask of the same shape.
    """
    (true, lesions), (found, components) = _components(reference), _components(prediction)
    sizes, found_sizes = (np.bincount(side.ravel(), minlength=count + 1)[1:]
                          for side, count in ((true, lesions), (found, components)))
    both = reference & prediction
    pairs, shared = np.unique((true[both] - 1).astype(np.int64) * components + found[both] - 1, return_counts=True)
    lesion, component = np.divmod(pairs, max(components, 1))
    # Of each lesion: the voxels in common, and all voxels of the components that touch it.
    common = np.bincount(lesion, shared, minlength=lesions)
    predicted = np.bincount(lesion, found_sizes[component], minlength=lesions)
    false = components - len(np.unique(component))
    overlaps = shared / (sizes[lesion] + found_sizes[component] - shared)
    matched = overlaps[overlaps > SAME]
    return Lesions(lesions, _share(float((2 * common / (sizes + predicted)).sum()), lesions + false),
                   _share(int(np.count_nonzero(common)), lesions), false,
                   _share(float(matched.sum()), (lesions + components) / 2))


def _components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the connected components of a mask from 1 on; return them and their number."""
    from scipy import ndimage

    return ndimage.label(mask, np.ones((3,) * mask.ndim))


def _share(value: float, total: float) -> float:
    """Return a share; NaN of nothing."""
    return value / total if total else float("nan")
