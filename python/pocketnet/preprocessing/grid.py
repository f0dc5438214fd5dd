"""Grids of volumes: shape, affine in mm, orientation. Volumes in memory are RAS+ with axes (x, y, z)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import nibabel as nib
import numpy as np
from nibabel import orientations

from ..errors import DataError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Convert between the world coordinates of DICOM and ITK (LPS) and those of NIfTI (RAS), in both directions."""
FLAT = 1e-6
"""Smallest ratio of a voxel's volume to that of a box with the same edges; below it, the voxel is flat."""

SMALLEST_MM = 1e-7
"""Smallest edge of a voxel."""


@dataclass(frozen=True)
class Grid:
    """The grid of a file, sufficient to write a result with exactly its geometry.

    Attributes:
        shape: Voxels per file axis.
        affine: 4×4 matrix from voxel index to mm (RAS+ world).
        header: The NIfTI header as read, for its forms, codes, units and trailing axes; None if there is none.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    header: nib.Nifti1Header | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """mm per file axis."""
        return cast(tuple[float, float, float], tuple(float(s) for s in nib.affines.voxel_sizes(self.affine)))

    @property
    def orientation(self) -> str:
        """Axis codes of the file, for example `LPS`."""
        return "".join(nib.aff2axcodes(self.affine))


@dataclass(frozen=True)
class Volume:
    """A volume in RAS+ and the grid of its file.

    Attributes:
        data: (x, y, z), float32 for images, integer for labels.
        spacing: mm along x, y, z.
        grid: The file's own grid.
        warnings: Unusual findings that may be intended.
    """

    data: np.ndarray
    spacing: tuple[float, float, float]
    grid: Grid
    warnings: tuple[str, ...] = ()


def check_grid(shape: tuple[int, ...], affine: np.ndarray, where: str) -> None:
    """Check that a volume has voxels, and that they have a size.

    Args:
        shape: Voxels per file axis.
        affine: 4×4 matrix from voxel index to mm.
        where: The image, for the message.

    Raises:
        DataError: An axis has no voxel, or the affine is singular or not finite.
    """
    if any(n < 1 for n in shape):
        raise DataError(f"Expected at least one voxel on each axis, found shape {shape}.", where=where)
    edges = affine[:3, :3]
    sides = np.linalg.norm(edges, axis=0)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not (sides > SMALLEST_MM).all() \
            or abs(np.linalg.det(edges / sides)) < FLAT or np.isnan(nib.io_orientation(affine)).any():
        raise DataError("The affine is singular: the voxels have no size.", where=where)


def to_ras(data: np.ndarray, grid: Grid, *, copy: bool = True) -> np.ndarray:
    """Reorder and flip the first three axes of `data` from file order to RAS+; without `copy`, return a view."""
    turned = orientations.apply_orientation(data, nib.io_orientation(grid.affine))
    return np.ascontiguousarray(turned) if copy else turned


def from_ras(data: np.ndarray, grid: Grid) -> np.ndarray:
    """Reorder and flip RAS+ axes back to file order; the inverse of `to_ras`."""
    back = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), nib.io_orientation(grid.affine))
    return orientations.apply_orientation(data, back)


def ras_spacing(grid: Grid) -> tuple[float, float, float]:
    """Return the spacing in mm along the RAS+ axes."""
    order = np.argsort(nib.io_orientation(grid.affine)[:, 0])
    return cast(tuple[float, float, float], tuple(float(grid.spacing[axis]) for axis in order))


def same_grid(a: Grid, b: Grid, tolerance: float = 1e-3) -> bool:
    """Return whether two grids have the same shape, and the same affine within `tolerance` mm per element.

    The tolerance is at most a tenth of a voxel.
    """
    return a.shape == b.shape and np.allclose(a.affine, b.affine, atol=min(tolerance, 0.1 * min(a.spacing)))


def apart(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return the largest distance between the places that two affines give a voxel, in the affines' unit."""
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*(n - 1 for n in shape[:3]), 1]
    return float(np.linalg.norm(((a - b) @ corners.T)[:3], axis=0).max())
