"""Rotate, scale and deform a patch elastically, with a single resampling from the surrounding volume.

Numba compiles the loop over voxels, because array operations would pass over memory a dozen times. Compilation takes
a second or two at the first call. The result is not cached on disk, because a container may be read-only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..contracts.plan import Augmentation


@dataclass(frozen=True)
class Warp:
    """A spatial transform of a patch.

    The output voxel at `centre + v` is sampled at `centre + matrix @ v + displacement(v)`, in voxels.

    Attributes:
        patch: Output size in voxels per axis.
        matrix: (3, 3) float32, dimensionless.
        displacement: (i, j, k, 3) float32, in voxels, at control points evenly spaced over the patch, corners
            included; interpolated linearly in between. Empty for none.
    """

    patch: tuple[int, ...]
    matrix: np.ndarray
    displacement: np.ndarray

    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the source box: its first voxel relative to the patch's first voxel, and its size in voxels."""
        reach = (np.array(self.patch) - 1) / 2
        extent = np.abs(self.matrix) @ reach
        if self.displacement.size:
            extent = extent + np.abs(self.displacement).max(axis=(0, 1, 2))
        low = np.floor(reach - extent).astype(int) - 1
        return low, np.ceil(reach + extent).astype(int) + 2 - low

    def apply(self, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Resample the source box: linear interpolation for the image, nearest neighbour for the label.

        Args:
            image: The box from `box`, (x, y, z, channel) float32.
            label: Label on the same grid, (x, y, z), any integer type.

        Returns:
            Image and label of size `patch`.
        """
        low, _ = self.box()
        reach = (np.array(self.patch, np.float32) - 1) / 2
        origin = (reach - low - self.matrix @ reach).astype(np.float32)
        new_image = np.empty((*self.patch, image.shape[-1]), np.float32)
        new_label = np.empty(self.patch, label.dtype)
        points = np.array(self.displacement.shape[:3])
        step = ((points - 1) / np.maximum(np.array(self.patch) - 1, 1)).astype(np.float32)
        _resample(np.ascontiguousarray(image), np.ascontiguousarray(label), self.matrix, origin, self.displacement,
                  step, new_image, new_label)
        return new_image, new_label


def sample_warp(settings: Augmentation, patch: tuple[int, ...], spacing: tuple[float, ...],
                rng: np.random.Generator, through: int | None = None) -> Warp | None:
    """Draw a rotation, a scaling and an elastic deformation, each with its probability.

    The transforms are defined in millimetres, so that anisotropic voxels do not cause shear.

    Args:
        settings: Probabilities and ranges.
        patch: Patch size in voxels per axis.
        spacing: Voxel spacing in mm.
        rng: The only source of randomness. Always the same number of values is drawn.
        through: Axis through the planes of a 2D network: the transform stays in the plane. None in 3D.

    Returns:
        The transform; None if none of the three was drawn.
    """
    chances, turn, size = rng.random(3), rng.random(3), rng.random()
    strength, noise_seed = rng.random(), rng.integers(2**32)
    rotated, scaled, bent = chances < (settings.rotation, settings.scaling, settings.elastic)
    if not (rotated or scaled or bent):
        return None
    step = np.array(spacing, float)
    matrix = np.eye(3)
    if rotated:
        low, high = settings.rotation_degrees
        angles = np.deg2rad(low + (high - low) * turn)
        matrix = _rotation(angles if through is None else np.where(np.arange(3) == through, angles, 0.0))
    if scaled:
        low, high = settings.scaling_range
        matrix = matrix / np.exp(np.log(low) + (np.log(high) - np.log(low)) * size)
    if through is not None:
        matrix[through] = matrix[:, through] = np.arange(3) == through
    matrix = matrix * step[None, :] / step[:, None]
    displacement = np.zeros((0, 0, 0, 3), np.float32)
    if bent:
        low, high = settings.elastic_sd_mm
        points = np.maximum(2, np.ceil(np.array(patch) * step / settings.elastic_spacing_mm).astype(int) + 1)
        normal = np.random.default_rng(noise_seed).standard_normal((*points, 3), np.float32)
        displacement = normal * ((low + (high - low) * strength) / step).astype(np.float32)
        if through is not None:
            displacement[..., through] = 0
    return Warp(tuple(patch), matrix.astype(np.float32), displacement)


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Return the product of rotations about the x, y and z axes; angles in radians."""
    (a, b, c), (x, y, z) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -x], [0, x, a]])
    about_y = np.array([[b, 0, y], [0, 1, 0], [-y, 0, b]])
    about_z = np.array([[c, -z, 0], [z, c, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


@njit(nogil=True, fastmath=True)
def _resample(image: np.ndarray, label: np.ndarray, matrix: np.ndarray, origin: np.ndarray, displacement: np.ndarray,
              step: np.ndarray, new_image: np.ndarray, new_label: np.ndarray) -> None:
    """Fill the new image and label in place; voxels outside the source become 0."""
    size_x, size_y, size_z, channels = image.shape
    bent = displacement.size > 0
    moved = np.zeros(3, np.float32)
    for i in range(new_label.shape[0]):
        for j in range(new_label.shape[1]):
            for k in range(new_label.shape[2]):
                if bent:
                    _interpolate(displacement, i * step[0], j * step[1], k * step[2], moved)
                x = matrix[0, 0] * i + matrix[0, 1] * j + matrix[0, 2] * k + origin[0] + moved[0]
                y = matrix[1, 0] * i + matrix[1, 1] * j + matrix[1, 2] * k + origin[1] + moved[1]
                z = matrix[2, 0] * i + matrix[2, 1] * j + matrix[2, 2] * k + origin[2] + moved[2]
                if 0 <= x <= size_x - 1 and 0 <= y <= size_y - 1 and 0 <= z <= size_z - 1:
                    new_label[i, j, k] = label[int(x + np.float32(0.5)), int(y + np.float32(0.5)),
                                               int(z + np.float32(0.5))]
                    _interpolate(image, x, y, z, new_image[i, j, k])
                else:
                    new_label[i, j, k] = 0
                    new_image[i, j, k] = 0


@njit(nogil=True, fastmath=True, inline="always")
def _interpolate(grid: np.ndarray, x: float, y: float, z: float, out: np.ndarray) -> None:
    """Interpolate trilinearly inside a grid (x, y, z, channel) with at least two voxels per axis."""
    i, j, k = min(int(x), grid.shape[0] - 2), min(int(y), grid.shape[1] - 2), min(int(z), grid.shape[2] - 2)
    tx, ty, tz = np.float32(x - i), np.float32(y - j), np.float32(z - k)
    sx, sy, sz = np.float32(1) - tx, np.float32(1) - ty, np.float32(1) - tz
    for c in range(grid.shape[3]):
        near = (sy * (sz * grid[i, j, k, c] + tz * grid[i, j, k + 1, c])
                + ty * (sz * grid[i, j + 1, k, c] + tz * grid[i, j + 1, k + 1, c]))
        far = (sy * (sz * grid[i + 1, j, k, c] + tz * grid[i + 1, j, k + 1, c])
               + ty * (sz * grid[i + 1, j + 1, k, c] + tz * grid[i + 1, j + 1, k + 1, c]))
        out[c] = sx * near + tx * far
