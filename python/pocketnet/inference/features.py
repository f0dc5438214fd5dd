"""What a prediction itself says of its quality, for the statement with each case (`evaluation/statement`).

All features are computed from what inference has in memory anyway: the merged probabilities, slab by slab, the label
map, and a sample of the image. Boxes with more than `MOST_VOXELS` voxels are measured at
evenly spaced voxels, so that time and memory stay small beside the network's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..contracts.features import Features
from ..contracts.labels import Label, overlapping
from ..preprocessing.boxes import crop
from ..preprocessing.label_maps import mask
from ..preprocessing.ranges import Measured
from ..preprocessing.scan import Scan
from .postprocessing import around, components, sizes_of

FLOOR = 0.01
"""Probabilities below this count as 0."""
MOST_VOXELS = 2**21
"""Maximum voxels of a box in which a label's shape or an image's sharpness is measured."""
AXES = "xyz"


class Tally:
    """Sums over the probabilities of a case's labels.

    Args:
        labels: The labels.
    """

    def __init__(self, labels: Sequence[Label]):
        self._labels, self._regions = labels, overlapping(labels)
        self._first = 1 if self._regions else 0
        # per label: voxels, probability within them, probability in all, entropy in all, spread in all, voxels in all
        self._sums = np.zeros((len(labels), 6))

    def add(self, classes: np.ndarray, probabilities: np.ndarray, spread: np.ndarray | None) -> None:
        """Add a slab.

        Args:
            classes: (x, y, planes) uint8.
            probabilities: (x, y, planes, classes) float32.
            spread: Disagreement of several predictions, (x, y, planes) uint8, 255 for the maximum; None for one.
        """
        for sums, label in zip(self._sums, self._labels, strict=True):
            channel = probabilities[..., label.value - self._first]
            seen = channel > FLOOR
            p = channel[seen]
            inside = p > 0.5 if self._regions else classes[seen] == label.value
            q = np.clip(p, FLOOR, 1 - FLOOR)
            sums += np.array([np.count_nonzero(inside), p[inside].sum(dtype=float), p.sum(dtype=float),
                              -(q * np.log(q) + (1 - q) * np.log1p(-q)).sum(dtype=float),
                              0.0 if spread is None else spread[seen].sum(dtype=float) / 255, p.size])

    def features(self, predictions: int) -> dict[str, dict[str, float]]:
        """Return the features of each label that has a voxel.

        - `soft_dice`: Dice of the predicted mask and the probabilities, the Dice that the network itself expects.
        - `confidence`: mean probability of the mask's voxels.
        - `entropy`: entropy in nats of all voxels above `FLOOR`, per voxel of the mask.
        - `disagreement`: mean disagreement of these voxels, if there are several predictions.

        Args:
            predictions: Number of predictions that were averaged.
        """
        return {label.name: {
            "soft_dice": 2 * within / (voxels + total), "confidence": within / voxels, "entropy": entropy / voxels,
            **({"disagreement": spread / seen} if predictions > 1 else {})}
            for label, sums in zip(self._labels, self._sums.tolist(), strict=True)
            for voxels, within, total, entropy, spread, seen in [sums] if voxels}


def of_shapes(classes: np.ndarray, labels: Sequence[Label], spacing: Sequence[float]) -> dict[str, dict[str, float]]:
    """Return the features of the shape of each label that has a voxel.

    - `volume`: natural logarithm of the volume in mL.
    - `largest`: share of the largest face-connected component; `components`: logarithm of their number.
    - `surface`: faces between voxels inside and outside, relative to a cube of the same volume.
    - `border`: share of the voxels in the outermost planes of the image (axes of at least 3 voxels).
    - `extent_x`, `_y`, `_z`: logarithm of the side of the bounding box in mm.
    - `offset_x`, `_y`, `_z`: centre relative to that of all labels, in mm.

    Args:
        classes: (x, y, z) uint8.
        labels: The labels.
        spacing: mm per axis.
    """
    found, centres = {}, {}
    for label in labels:
        box = around(mask(classes, label))
        if box is None:
            continue
        step = max(1, math.ceil((math.prod(high - low for low, high in box) / MOST_VOXELS) ** (1 / 3)))
        inside = np.ascontiguousarray(mask(crop(classes, box)[::step, ::step, ::step], label))
        voxels = int(inside.sum())
        if not voxels:  # all between the voxels that are measured
            continue
        sizes = sizes_of(components(inside))
        sides, centre, border = _along(inside, box, classes.shape, step)
        sides_mm = [side * mm for side, mm in zip(sides, spacing, strict=True)]
        faces = sum(int(np.count_nonzero(np.diff(inside, axis=axis))) for axis in range(3))
        centres[label.name] = voxels * step**3, [c * mm for c, mm in zip(centre, spacing, strict=True)]
        found[label.name] = {
            "volume": math.log(voxels * step**3 * math.prod(spacing) / 1000),
            "largest": float(sizes.max() / voxels), "components": math.log(np.count_nonzero(sizes)),
            "surface": faces / (6 * voxels ** (2 / 3)), "border": border / voxels,
            **{f"extent_{axis}": math.log(side) for axis, side in zip(AXES, sides_mm, strict=True)}}
    if centres:
        weights = [weight for weight, _ in centres.values()]
        middle = np.average([centre for _, centre in centres.values()], axis=0, weights=weights)
        for name, (_, centre) in centres.items():
            found[name] |= {f"offset_{axis}": float(c - m) for axis, c, m in zip(AXES, centre, middle, strict=True)}
    return found


def _along(inside: np.ndarray, box: Sequence[tuple[int, int]], shape: Sequence[int], step: int
           ) -> tuple[list[int], list[float], int]:
    """Return the mask's sides and centre in voxels of the image, and how many voxels lie in its outermost planes."""
    sides, centre, border = [], [], 0
    for axis, ((low, _), size) in enumerate(zip(box, shape, strict=True)):
        counts = inside.sum(axis=tuple(other for other in range(3) if other != axis))
        hit = np.flatnonzero(counts)
        places = low + step * np.arange(counts.size)
        sides.append(int(places[hit[-1]] - places[hit[0]]) + step)
        centre.append(float(np.average(places, weights=counts)))
        if size >= 3:
            border += int(counts[(places == 0) | (places >= size - step)].sum())
    return sides, centre, border


def of_scan(scan: Scan, modalities: Sequence[str], measured: Sequence[Measured]) -> Features:
    """Return the features of a case's images.

    - `spacing_x` …, `extent_x` …: logarithm of the voxel spacing and the field of view in mm.
    - `low`, `middle`, `high` of each modality: 0.5th percentile, median and 99.5th percentile of the non-zero voxels,
      in standard deviations from their mean.
    - `sharpness_x` … of each modality: logarithm of the mean difference of neighbours, relative to the standard
      deviation, in a block in the middle of the image. Noise raises it; blur and repeated slices lower it.

    Args:
        scan: The case's modalities, in the model's order.
        modalities: Their names.
        measured: Their intensities.
    """
    out: dict[str, float] = {}
    for axis, n, mm in zip(AXES, scan.shape, scan.spacing, strict=True):
        out |= {f"spacing_{axis}": math.log(mm), f"extent_{axis}": math.log(n * mm)}
    side = round(MOST_VOXELS ** (1 / 3))
    middle = tuple(slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side) for n in scan.shape)
    for name, channel, one in zip(modalities, scan.channels, measured, strict=True):
        out |= {f"{name}: {what}": value for what, value in one.standardised().items()}
        block = channel.read(middle)
        deviation = float(block.std()) or 1.0
        for number, axis in enumerate(AXES):
            step = float(np.abs(np.diff(block, axis=number)).mean()) if block.shape[number] > 1 else deviation
            out[f"{name}: sharpness_{axis}"] = math.log(max(step / deviation, 1e-4))
    return out
