"""The sliding window: where windows lie and how their predictions are merged (paper, Section II-B4)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np


def starts(size: int, patch: int, overlap: float) -> list[int]:
    """Where windows of `patch` voxels start along an axis of `size >= patch` voxels.

    Neighbours overlap by `overlap` of a side; the last window ends with the axis.
    """
    stride = max(1, round(patch * (1 - overlap)))
    return [*range(0, size - patch, stride), size - patch]


def positions(shape: tuple[int, ...], patch: tuple[int, ...], overlap: float) -> list[tuple[int, ...]]:
    """Start voxels of all windows over a volume of `shape`."""
    return list(itertools.product(*(starts(n, p, overlap) for n, p in zip(shape, patch, strict=True))))


def gaussian_weight(patch: tuple[int, ...], sigma: float) -> np.ndarray:
    """Importance of each voxel of a window, at most 1 in the middle.

    Args:
        patch: Voxels per axis.
        sigma: Standard deviation as a share of each side.

    Returns:
        float32 of shape `patch`, nowhere zero.
    """
    weight = np.ones((), np.float32)
    for axis, side in enumerate(patch):
        offset = (np.arange(side) - (side - 1) / 2) / (sigma * side)
        shape = [1] * len(patch)
        shape[axis] = side
        weight = weight * np.exp(-0.5 * offset**2).reshape(shape)
    return np.maximum(weight / weight.max(), 1e-4).astype(np.float32)


def sliding_window(image: np.ndarray, patch: tuple[int, ...], classes: int, predict: Callable[[np.ndarray], np.ndarray],
                   overlap: float, sigma: float, follow: Callable[[list], Iterator] = iter) -> np.ndarray:
    """Probabilities of a whole volume.

    A volume smaller than the patch is surrounded by zeros, as in training.

    Args:
        image: (x, y, z, channel), normalised.
        predict: From (1, *patch, channel) to probabilities (1, *patch, classes).
        overlap: Share of a side by which windows overlap.
        sigma: Of the Gaussian importance, as a share of a side.
        follow: Wraps the list of windows, to show progress.

    Returns:
        (x, y, z, classes) float32, summing to 1 over classes.
    """
    shape = image.shape[:-1]
    before = [max(0, p - n) // 2 for n, p in zip(shape, patch, strict=True)]
    after = [max(0, p - n) - b for n, p, b in zip(shape, patch, before, strict=True)]
    padded = np.pad(image, [*zip(before, after, strict=True), (0, 0)])
    weight = gaussian_weight(patch, sigma)
    total = np.zeros(padded.shape[:-1] + (classes,), np.float32)
    weights = np.zeros(padded.shape[:-1], np.float32)
    for start in follow(positions(padded.shape[:-1], patch, overlap)):
        window = tuple(slice(s, s + p) for s, p in zip(start, patch, strict=True))
        total[window] += predict(padded[window][None])[0] * weight[..., None]
        weights[window] += weight
    total /= weights[..., None]
    return total[tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))]
