"""Compare probability maps with references: do 80 % of the voxels with a probability of 0.8 have the label?

Voxels count that the network does not rule out (probability above 0) or that have the label in the reference; else the
many voxels far from it would hide every error. Source of the expected calibration error: Guo et al., On calibration of
modern neural networks, ICML 2017, Eq. 5; here of one label against the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from ..contracts.labels import probability_map
from ..contracts.manifest import Case, Manifest
from ..errors import DataError
from ..preprocessing import geometry
from ..preprocessing.label_maps import IGNORED, annotated_labels, map_labels, mask
from ..preprocessing.reference import read_label

BINS = 10
"""Bins of equal width between 0 and 1."""
COLUMNS = ("case", "label", "voxels", "brier", "ece")


@dataclass(frozen=True)
class Calibration:
    """Calibration of one label in one case; NaN if no voxel counts.

    Attributes:
        voxels: Number of voxels that count.
        brier: Mean squared difference of probability and truth, 0 (best) to 1.
        ece: Expected calibration error, 0 (best) to 1.
    """

    voxels: int
    brier: float
    ece: float


def measure(reference: np.ndarray, probability: np.ndarray) -> Calibration:
    """Compute the calibration of one label.

    Args:
        reference: Boolean mask of any shape.
        probability: Probabilities of the label, of the same shape.
    """
    counts = reference | (probability > 0)
    true, found = reference[counts].astype(float), probability[counts].astype(float)
    if not found.size:
        return Calibration(0, float("nan"), float("nan"))
    part = np.minimum((found * BINS).astype(int), BINS - 1)
    gaps = np.abs(np.bincount(part, found, BINS) - np.bincount(part, true, BINS))
    return Calibration(found.size, float(np.mean((found - true) ** 2)), float(gaps.sum() / found.size))


def measure_case(listing: Manifest, case: Case, folder: Path, predictions: Path) -> list[tuple[str, Calibration]]:
    """Measure the labels of a case that have a probability map.

    Args:
        listing: The manifest.
        case: A case with a reference.
        folder: The dataset's folder.
        predictions: Folder of the predictions.

    Returns:
        Label and calibration; empty without maps. Voxels that nobody annotated do not count.

    Raises:
        DataError: A map cannot be read or lies on another grid than the reference.
    """
    result = []
    for label in annotated_labels(listing.labels, case.annotated):
        path = predictions / probability_map(case.case, label)
        if not path.is_file():
            continue
        found = geometry.read(path)
        reference = read_label(folder / cast(str, case.label), listing.label_grid, found.grid)
        if not geometry.same_grid(reference.grid, found.grid):
            raise DataError("The probability map lies on another grid than the reference.", where=str(path))
        classes = map_labels(reference.data, listing.labels, listing.ignore)
        known = classes != IGNORED
        result.append((label.name, measure(mask(classes, label)[known], found.data[known])))
    return result
