"""Rotate, scale and deform a patch elastically, with a single resampling from the surrounding volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
        from .warp_voxels import resample  # Numba is slow to import, and many recipes do not warp

        low, _ = self.box()
        reach = (np.array(self.patch, np.float32) - 1) / 2
        origin = (reach - low - self.matrix @ reach).astype(np.float32)
        new_image = np.empty((*self.patch, image.shape[-1]), np.float32)
        new_label = np.empty(self.patch, label.dtype)
        points = np.array(self.displacement.shape[:3])
        step = ((points - 1) / np.maximum(np.array(self.patch) - 1, 1)).astype(np.float32)
        resample(np.ascontiguousarray(image), np.ascontiguousarray(label), self.matrix, origin, self.displacement,
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
