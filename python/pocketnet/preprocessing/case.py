"""A preprocessed case: its label map, and the check that its images belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..contracts.case import Statistics
from ..errors import DataError
from . import geometry
from .boxes import Box, crop
from .image import Faults
from .resample import resample


@dataclass(frozen=True)
class Prepared:
    """A case, cropped and resampled, not yet normalised.

    Attributes:
        image: (x, y, z, channel), float32, RAS+.
        spacing: mm per axis of `image`.
        source_shape: Voxels per RAS+ axis before cropping.
        box: The crop, (start, stop) per axis in `source_shape`.
        statistics: Statistics of `image` for the plan's normalisation, see `statistics_for`.
    """

    image: np.ndarray
    spacing: tuple[float, ...]
    source_shape: tuple[int, ...]
    box: Box
    statistics: Sequence[Statistics]


def check_together(paths: Sequence[str | Path], grids: Sequence[geometry.Grid], faults: Sequence[Faults]) -> None:
    """Check that a case's modalities have one grid and usable voxels.

    Args:
        paths: The files, for messages.
        grids: Grid of each file.
        faults: What makes the voxels of each file unusable (`image.faults`).

    Raises:
        DataError: A file has unusable voxels or a different grid than the first; the message lists all files.
    """
    problems = []
    for path, grid, found in zip(paths, grids, faults, strict=True):
        if not geometry.same_grid(grid, grids[0]):
            problems.append(f"{path}: {_described(grid)}")
        if found.not_finite:
            problems.append(f"{path}: {found.not_finite}")
    problems = problems or [f"{path}: {found.empty}" for path, found in zip(paths, faults, strict=True) if found.empty]
    if problems and len(paths) == 1:
        raise DataError("The image cannot be used.", problems=problems)
    if problems:
        raise DataError(f"The modalities cannot be used together; the first has {_described(grids[0])}.",
                        problems=problems)


def _described(grid: geometry.Grid) -> str:
    """Describe a grid for messages, including the origin: two grids may differ only in it."""
    return (f"shape {grid.shape}, spacing {_round(grid.spacing)} mm, orientation {grid.orientation}, "
            f"origin {_round(grid.affine[:3, 3])} mm")


def _round(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(v), 3) for v in values)


def prepare_label(label: np.ndarray, prepared: Prepared) -> np.ndarray:
    """Crop and resample a case's label map (x, y, z) like its image."""
    return resample(np.ascontiguousarray(crop(label, prepared.box)), prepared.image.shape[:-1], label=True)
