"""How well a predicted mask covers a reference mask: Dice, HD95, average surface distance, surface Dice at 1 mm.

Definitions, the same in every table of this project:

- A mask's surface is its voxels with at least one of the face neighbours outside the mask; beyond the
  image's edge is outside. Distances are between centres of surface voxels, in mm.
- HD95 is the larger of the two directed 95th percentiles (linear interpolation); ASD is the mean over both
  directed sets pooled. NSD (normalised surface Dice) is the share of both sets pooled that is at most 1 mm off.
- Over voxel sets: the distance from each voxel of one mask to the nearest voxel of the other, zero where they
  overlap; HD95 and the average of them as above. SimpleITK's Hausdorff filter takes masks so, and so the paper's
  HD95 seems to (docs/paper.md): two masks that overlap by more than 95 % have an HD95 of 0 then.
- A label that is in neither mask: every metric is NaN. In one of them only: Dice and NSD 0, and both distances are
  the image's diagonal in mm (as the BraTS challenge does).

MONAI defines the same surface. SimpleITK's LabelContour does not take the image's edge for a surface, so the
two agree wherever a mask keeps off the edge, and everywhere once the image is padded by a voxel.

The distances come from a k-d tree over the surface voxels of the joint bounding box, not from a distance
map: its time follows the surface (some 10^4 voxels) and not the volume. `make bench-metrics` times it beside
MONAI, DeepMind's surface-distance and SimpleITK on a real tumour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..preprocessing.boxes import bounding_box, crop

METRICS = ("dice", "hd95_mm", "asd_mm", "nsd_1mm")
PAPER_METRICS = METRICS[:3]
"""Those that the paper reports."""
TOLERANCE_MM = 1.0
"""Of the surface Dice; a distance that is 1 mm but for rounding is within it."""


@dataclass(frozen=True)
class Measurement:
    """One label of one case.

    Attributes:
        dice: 0 to 1, NaN where the label is in neither mask.
        hd95_mm: 95th percentile Hausdorff distance in mm, NaN likewise.
        asd_mm: Average symmetric surface distance in mm, NaN likewise.
        reference_ml: The reference's volume in millilitres.
        predicted_ml: The prediction's volume in millilitres.
        hd95_voxels_mm: 95th percentile Hausdorff distance of the voxel sets in mm, NaN likewise.
        asd_voxels_mm: Average symmetric distance of the voxel sets in mm, NaN likewise.
        nsd_1mm: Normalised surface Dice with a tolerance of 1 mm, 0 to 1, NaN likewise.
    """

    dice: float
    hd95_mm: float
    asd_mm: float
    reference_ml: float
    predicted_ml: float
    hd95_voxels_mm: float
    asd_voxels_mm: float
    nsd_1mm: float


def measure(reference: np.ndarray, prediction: np.ndarray, spacing: Sequence[float]) -> Measurement:
    """All metrics of one label.

    Args:
        reference: Boolean mask, 2D or 3D.
        prediction: Boolean mask of the same shape.
        spacing: mm along each axis.

    Raises:
        ValueError: Shapes or the number of spacings differ.
    """
    _check(reference, prediction, spacing)
    diagonal = image_diagonal(reference.shape, spacing)
    reference, prediction = _crop(reference, prediction)
    millilitres = float(np.prod(spacing)) / 1000
    forth, back = _directed(reference, prediction, spacing), _directed(prediction, reference, spacing)
    return Measurement(dice(reference, prediction), *_summarise(forth[0], back[0], diagonal),
                       np.count_nonzero(reference) * millilitres, np.count_nonzero(prediction) * millilitres,
                       *_summarise(forth[1], back[1], diagonal), _within(forth[0], back[0]))


def dice(reference: np.ndarray, prediction: np.ndarray) -> float:
    """Dice coefficient, 2|R∩P| / (|R|+|P|); NaN when both masks are empty.

    Args:
        reference: Boolean mask of any shape.
        prediction: Boolean mask of the same shape.
    """
    total = np.count_nonzero(reference) + np.count_nonzero(prediction)
    return float(2 * np.count_nonzero(reference & prediction) / total) if total else float("nan")


def directed_distances(reference: np.ndarray, prediction: np.ndarray,
                       spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Distance in mm from each surface voxel of one mask to the other mask's surface, both ways.

    Returns:
        Reference to prediction, and prediction to reference: each one value a surface voxel, in no particular
        order; infinite where the other mask is empty, of length 0 where the own mask is.

    Raises:
        ValueError: Shapes or the number of spacings differ.
    """
    _check(reference, prediction, spacing)
    masks = _crop(reference, prediction)
    return _directed(*masks, spacing)[0], _directed(*masks[::-1], spacing)[0]


def voxel_set_distances(reference: np.ndarray, prediction: np.ndarray,
                        spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Distance in mm from each voxel of one mask to the other mask's nearest voxel, both ways.

    Returns:
        As for `directed_distances`, one value a voxel of the mask; zero where the masks overlap.

    Raises:
        ValueError: Shapes or the number of spacings differ.
    """
    _check(reference, prediction, spacing)
    masks = _crop(reference, prediction)
    return _directed(*masks, spacing)[1], _directed(*masks[::-1], spacing)[1]


def surface(mask: np.ndarray) -> np.ndarray:
    """The voxels of `mask` that have a face neighbour outside it; beyond the array's edge is outside.

    Args:
        mask: Boolean array.

    Returns:
        Boolean array of the same shape.
    """
    padded = np.pad(mask, 1)
    inside = mask.copy()
    for axis in range(mask.ndim):
        for shifted in (slice(None, -2), slice(2, None)):
            window = [slice(1, -1)] * mask.ndim
            window[axis] = shifted
            inside &= padded[tuple(window)]
    return mask & ~inside


def image_diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Length of the image's diagonal in mm, voxel edge to voxel edge."""
    return float(np.linalg.norm(np.asarray(shape) * np.asarray(spacing, dtype=float)))


def _check(reference: np.ndarray, prediction: np.ndarray, spacing: Sequence[float]) -> None:
    if reference.shape != prediction.shape or len(spacing) != reference.ndim:
        raise ValueError("Expected two masks of one shape and a spacing an axis. Received: "
                         f"{reference.shape}, {prediction.shape} and spacing {tuple(spacing)}")


def _crop(reference: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks within their joint bounding box (as they are when both are empty)."""
    boxes = [box for box in (bounding_box(reference), bounding_box(prediction)) if box]
    if not boxes:
        return reference, prediction
    joint = tuple((min(start for start, _ in sides), max(stop for _, stop in sides))
                  for sides in zip(*boxes, strict=True))
    return crop(reference, joint), crop(prediction, joint)


def _directed(start: np.ndarray, goal: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Distances in mm from `start` to `goal`: from surface voxels to the surface, and from voxels to the set.

    Outside a mask its nearest voxel is one of its surface, so both come from one tree and one search, over the
    voxels that are outside of `goal` or on the surface of `start`; all others' distances are zero or not asked for.
    """
    from scipy.spatial import cKDTree

    on_start, on_goal = surface(start), surface(goal)
    outside = start & ~goal
    apart = np.argwhere(outside | (on_start & ~on_goal))
    distances = np.full(len(apart), np.inf)
    targets = np.argwhere(on_goal)
    if len(apart) and len(targets):
        scale = np.asarray(spacing, dtype=float)
        distances = cKDTree(targets * scale, balanced_tree=False).query(apart * scale)[0]
    where = tuple(apart.T)
    return (_with_zeros(distances[on_start[where]], int(np.count_nonzero(on_start))),
            _with_zeros(distances[outside[where]], int(np.count_nonzero(start))))


def _with_zeros(distances: np.ndarray, count: int) -> np.ndarray:
    """Distances with zeros after them, `count` in all."""
    return np.concatenate([distances, np.zeros(count - len(distances))])


def _within(forth: np.ndarray, back: np.ndarray) -> float:
    """The share of surface voxels whose distance is at most `TOLERANCE_MM`."""
    pooled = np.concatenate([forth, back])
    return float(np.mean(pooled <= TOLERANCE_MM + 1e-6)) if pooled.size else float("nan")


def _summarise(forth: np.ndarray, back: np.ndarray, diagonal: float) -> tuple[float, float]:
    if not forth.size and not back.size:
        return float("nan"), float("nan")
    if not forth.size or not back.size:
        return diagonal, diagonal
    hd95 = max(float(np.percentile(forth, 95)), float(np.percentile(back, 95)))
    return hd95, (float(forth.sum()) + float(back.sum())) / (forth.size + back.size)
