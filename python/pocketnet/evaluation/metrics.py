"""Compare a predicted with a reference mask: Dice, HD95, average surface distance (ASD), surface Dice at 1 mm (NSD).

All tables of this project use these definitions:

- The surface of a mask consists of its voxels with at least one face neighbour outside the mask. Everything beyond the
  image's edge is outside. Distances are between centres of surface voxels, in mm.
- HD95 is the larger of the two directed 95th percentiles (linear interpolation). ASD is the mean of the pooled
  distances of both directions. NSD (normalised surface Dice) is the fraction of the pooled distances of at most 1 mm.
- The voxel-set variants use the distance from each voxel of one mask to the nearest voxel of the other mask, zero in
  the overlap. HD95 and the average are computed as above. SimpleITK's Hausdorff filter uses this definition, and the
  paper's HD95 appears to use it too (docs/paper.md). With it, two masks that overlap by more than 95 % have an HD95
  of 0.
- If neither mask has the label, every metric is NaN. If only one mask has it, Dice and NSD are 0, and both distances
  are the image's diagonal in mm (as in the BraTS challenge).

MONAI defines the surface in the same way. SimpleITK's LabelContour does not count the image's edge as surface; the two
agree if the mask does not touch the edge, for example after padding the image by one voxel.

Distances come from a k-d tree of the surface voxels in the joint bounding box instead of a distance map: the time grows
with the surface (about 10^4 voxels), not with the volume. `make bench-metrics` compares the time with MONAI, DeepMind's
surface-distance and SimpleITK on a real tumour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..contracts.tasks import LABEL_METRICS
from ..preprocessing.boxes import bounding_box, crop

METRICS = LABEL_METRICS
PAPER_METRICS = METRICS[:3]
"""Metrics that the paper reports."""
TOLERANCE_MM = 1.0
"""Tolerance of the surface Dice; distances of 1 mm count as within it despite rounding errors."""


@dataclass(frozen=True)
class Measurement:
    """Metrics of one label in one case. All except the volumes are NaN if neither mask has the label.

    Attributes:
        dice: Dice coefficient, 0 to 1.
        hd95_mm: 95th percentile Hausdorff distance in mm.
        asd_mm: Average symmetric surface distance in mm.
        reference_ml: Volume of the reference in millilitres.
        predicted_ml: Volume of the prediction in millilitres.
        hd95_voxels_mm: 95th percentile Hausdorff distance of the voxel sets in mm.
        asd_voxels_mm: Average symmetric distance of the voxel sets in mm.
        nsd_1mm: Normalised surface Dice with a tolerance of 1 mm, 0 to 1.
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
    """Compute all metrics of one label.

    Args:
        reference: Boolean mask, 2D or 3D. In an image of one slice, distances are measured in its plane.
        prediction: Boolean mask of the same shape.
        spacing: mm along each axis.

    Raises:
        ValueError: Shapes or the number of spacings differ.
    """
    _check(reference, prediction, spacing)
    millilitres = float(np.prod(spacing)) / 1000
    (reference, prediction), spacing = _in_plane((reference, prediction), spacing)
    diagonal = image_diagonal(reference.shape, spacing)
    reference, prediction = crop_both(reference, prediction)
    forth, back = _directed(reference, prediction, spacing), _directed(prediction, reference, spacing)
    return Measurement(dice(reference, prediction), *_summarise(forth[0], back[0], diagonal),
                       np.count_nonzero(reference) * millilitres, np.count_nonzero(prediction) * millilitres,
                       *_summarise(forth[1], back[1], diagonal), _within(forth[0], back[0]))


def dice(reference: np.ndarray, prediction: np.ndarray) -> float:
    """Compute the Dice coefficient, `2|R∩P| / (|R|+|P|)`; NaN if both masks are empty.

    Args:
        reference: Boolean mask of any shape.
        prediction: Boolean mask of the same shape.
    """
    total = np.count_nonzero(reference) + np.count_nonzero(prediction)
    return float(2 * np.count_nonzero(reference & prediction) / total) if total else float("nan")


def directed_distances(reference: np.ndarray, prediction: np.ndarray,
                       spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Compute the distances in mm from each surface voxel of one mask to the surface of the other, in both directions.

    Returns:
        Distances from reference to prediction, and from prediction to reference. Each array has one value per surface
        voxel of the first mask, in no particular order. It is infinite if the second mask is empty, and has length 0
        if the first mask is empty.

    Raises:
        ValueError: Shapes or the number of spacings differ.
    """
    _check(reference, prediction, spacing)
    (reference, prediction), spacing = _in_plane((reference, prediction), spacing)
    masks = crop_both(reference, prediction)
    return _directed(*masks, spacing)[0], _directed(*masks[::-1], spacing)[0]


def voxel_set_distances(reference: np.ndarray, prediction: np.ndarray,
                        spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Compute the distances in mm from each voxel of one mask to the nearest voxel of the other, in both directions.

    Returns:
        As for `directed_distances`, but with one value per voxel of the first mask; zero in the overlap.

    Raises:
        ValueError: Shapes or the number of spacings differ.
    """
    _check(reference, prediction, spacing)
    (reference, prediction), spacing = _in_plane((reference, prediction), spacing)
    masks = crop_both(reference, prediction)
    return _directed(*masks, spacing)[1], _directed(*masks[::-1], spacing)[1]


def surface(mask: np.ndarray) -> np.ndarray:
    """Return the voxels of a mask with a face neighbour outside it; everything beyond the array's edge is outside.

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
    """Return the length of the image's diagonal in mm, from voxel edge to voxel edge."""
    return float(np.linalg.norm(np.asarray(shape) * np.asarray(spacing, dtype=float)))


def _check(reference: np.ndarray, prediction: np.ndarray, spacing: Sequence[float]) -> None:
    if reference.shape != prediction.shape or len(spacing) != reference.ndim:
        raise ValueError("Expected two masks of the same shape and one spacing per axis. Received: "
                         f"{reference.shape}, {prediction.shape} and spacing {tuple(spacing)}")


def _in_plane(masks: tuple[np.ndarray, np.ndarray], spacing: Sequence[float]
              ) -> tuple[tuple[np.ndarray, np.ndarray], Sequence[float]]:
    """Return masks and spacing of an image of one slice without the axis through it, else unchanged.

    In 3D, each voxel of a slice would have a neighbour outside, and belong to the surface.
    """
    shape = masks[0].shape
    if len(shape) != 3 or 1 not in shape:
        return masks, spacing
    axis = max(axis for axis, side in enumerate(shape) if side == 1)
    return ((masks[0].take(0, axis), masks[1].take(0, axis)),
            [mm for other, mm in enumerate(spacing) if other != axis])


def crop_both(reference: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop both masks to their joint bounding box; two empty masks stay unchanged."""
    boxes = [box for box in (bounding_box(reference), bounding_box(prediction)) if box]
    if not boxes:
        return reference, prediction
    joint = tuple((min(start for start, _ in sides), max(stop for _, stop in sides))
                  for sides in zip(*boxes, strict=True))
    return crop(reference, joint), crop(prediction, joint)


def _directed(start: np.ndarray, goal: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Compute distances in mm from `start` to `goal`: between the surfaces, and between the voxel sets.

    From outside a mask, the nearest voxel of the mask is always on its surface. One search in one tree therefore gives
    both results. It includes only voxels outside `goal` and surface voxels of `start` that are not on the surface of
    `goal`; all other distances are zero or not needed.
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
    """Append zeros to distances, up to `count` values."""
    return np.concatenate([distances, np.zeros(count - len(distances))])


def _within(forth: np.ndarray, back: np.ndarray) -> float:
    """Return the fraction of surface voxels whose distance is at most `TOLERANCE_MM`; NaN without surface voxels."""
    pooled = np.concatenate([forth, back])
    return float(np.mean(pooled <= TOLERANCE_MM + 1e-6)) if pooled.size else float("nan")


def _summarise(forth: np.ndarray, back: np.ndarray, diagonal: float) -> tuple[float, float]:
    if not forth.size and not back.size:
        return float("nan"), float("nan")
    if not forth.size or not back.size:
        return diagonal, diagonal
    hd95 = max(float(np.percentile(forth, 95)), float(np.percentile(back, 95)))
    return hd95, (float(forth.sum()) + float(back.sum())) / (forth.size + back.size)
