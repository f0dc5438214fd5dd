"""Random changes of a training patch (paper, Section II-B3: flips, additive noise, Gaussian blur)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from ..config import Augmentation


def augment(image: np.ndarray, label: np.ndarray, settings: Augmentation,
            rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Apply each change with its probability.

    Args:
        image: (x, y, z, channel) or (row, column, channel) float32, normalised.
        label: Classes on the same grid.
        rng: The only source of chance; the same numbers are drawn whatever is applied.

    Returns:
        Changed copies, contiguous, of the same shapes and types.
    """
    chances = rng.random(label.ndim)
    allowed = range(label.ndim) if settings.flip_axes is None else settings.flip_axes
    axes = [axis for axis in allowed if chances[axis] < settings.flip]
    if axes:
        image, label = np.flip(image, axes), np.flip(label, axes)
    chance, size = rng.random(2)
    if chance < settings.blur:
        sigma = _between(settings.blur_sigma, size)
        image = np.stack([gaussian_filter(image[..., c], sigma) for c in range(image.shape[-1])], axis=-1)
    chance, size = rng.random(2)
    if chance < settings.noise:
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        image = image + np.float32(_between(settings.noise_sd, size)) * noise
    return np.ascontiguousarray(image, dtype=np.float32), np.ascontiguousarray(label)


def _between(limits: tuple[float, float] | None, share: float) -> float:
    low, high = limits or (0.0, 0.0)
    return low + (high - low) * share
