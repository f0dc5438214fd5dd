"""The loop over the voxels of a warped patch.

Numba compiles it, because array operations would pass over memory a dozen times. Compilation takes a second or two at
the first call. The result is not cached on disk, because a container may be read-only.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, fastmath=True)
def resample(image: np.ndarray, label: np.ndarray, matrix: np.ndarray, origin: np.ndarray, displacement: np.ndarray,
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
