"""Resample volumes between a case's grid and the network's grid."""

from __future__ import annotations

import math

import numpy as np


def resampled_shape(shape: tuple[int, ...], spacing: tuple[float, ...], target: tuple[float, ...]) -> tuple[int, ...]:
    """Return the voxels per axis after resampling from `spacing` to `target` mm."""
    return tuple(max(1, round(n * s / t)) for n, s, t in zip(shape, spacing, target, strict=True))


def resample(array: np.ndarray, shape: tuple[int, ...], *, label: bool = False) -> np.ndarray:
    """Resample a volume to `shape` voxels over the same physical extent.

    The outer faces of the first and last voxel stay in place.

    Args:
        array: (x, y, z), or (x, y, z, channel) for images and probabilities.
        shape: Voxels per axis.
        label: Whether to use nearest-neighbour instead of linear interpolation.

    Returns:
        The resampled volume, with the data type of `array`.

    Source: SimpleITK's `Resample`.
    """
    if tuple(array.shape[: len(shape)]) == tuple(shape):
        return array
    return _resample(array, 0, array.shape[len(shape) - 1], shape, 0, shape[-1], label)


def needed_planes(depth: int, new_depth: int, start: int, stop: int) -> tuple[int, int]:
    """Return the range of planes (of `depth`) that the resampled planes `start` to `stop` (of `new_depth`) need."""
    if depth == new_depth:
        return start, stop
    step = depth / new_depth
    return (max(0, math.floor((start + 0.5) * step - 0.5)),
            min(depth, math.floor((stop - 0.5) * step - 0.5) + 2))


def resample_planes(part: np.ndarray, first: int, depth: int, shape: tuple[int, ...], start: int,
                    stop: int) -> np.ndarray:
    """Compute `resample(volume, shape)[:, :, start:stop]` from only the planes that it needs.

    Args:
        part: (x, y, planes) or (x, y, planes, channel): planes of the volume from `first` on, at least those of
            `needed_planes`.
        first: Index of the first plane of `part` in the volume.
        depth: Planes of the whole volume.
        shape: Voxels per axis of the whole resampled volume.
        start: First plane to compute, in the resampled volume.
        stop: Plane after the last one to compute.
    """
    if (*part.shape[:2], depth) == tuple(shape):
        return part[:, :, start - first: stop - first]
    return _resample(part, first, depth, shape, start, stop, False)


def _resample(part: np.ndarray, first: int, depth: int, shape: tuple[int, ...], start: int, stop: int,
              label: bool) -> np.ndarray:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(part, isVector=part.ndim > len(shape))
    old = np.array((*part.shape[: len(shape) - 1], depth)[::-1], dtype=float)
    step = old / np.array(shape[::-1], dtype=float)
    new = (*shape[:-1], stop - start)
    origin = step / 2 - 0.5
    origin[0] += start * step[0] - first
    resampled = sitk.Resample(
        image, [int(n) for n in new[::-1]], sitk.Transform(len(shape), sitk.sitkIdentity),
        sitk.sitkNearestNeighbor if label else sitk.sitkLinear,
        origin.tolist(), step.tolist(), np.eye(len(shape)).ravel().tolist(), 0.0, image.GetPixelID(), True,
    )
    # SimpleITK drops the last axis of one channel.
    return sitk.GetArrayFromImage(resampled).reshape(*new, *part.shape[len(shape):])
