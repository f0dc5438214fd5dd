"""Random augmentation of a training patch: flips and intensities. `warp` has the other spatial transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from ..contracts.plan import Augmentation

SMALLEST = np.float32(1e-7)

def augment(image: np.ndarray, label: np.ndarray, settings: Augmentation,
            rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Apply flips, blur, brightness, contrast, gamma and noise, each with its probability.

    Args:
        image: (x, y, z, channel) or (row, column, channel) float32, normalised.
        label: Classes on the same grid.
        settings: The plan's probabilities and ranges.
        rng: The only source of randomness. Which changes apply does not alter the other changes' numbers.

    Returns:
        Augmented image and label, contiguous, with the same shapes and types.
    """
    chances = rng.random(label.ndim)
    allowed = range(label.ndim) if settings.flip_axes is None else settings.flip_axes
    axes = [axis for axis in allowed if chances[axis] < settings.flip]
    if axes:
        image, label = np.flip(image, tuple(axes)), np.flip(label, tuple(axes))
    # Channel by channel: sums over an array with a short last axis are ten times slower.
    channels = [np.ascontiguousarray(image[..., c]) for c in range(image.shape[-1])]
    chance, size = rng.random(2)
    if chance < settings.blur:
        channels = [gaussian_filter(channel, _between(settings.blur_sigma, size)) for channel in channels]
    chances, inverted = rng.random(3), rng.random() < 0.5
    bright, stretched, power = rng.random((3, len(channels)))
    if chances[0] < settings.brightness:
        factors = _between(settings.brightness_range, bright)
        channels = [channel * factor for channel, factor in zip(channels, factors, strict=True)]
    if chances[1] < settings.contrast:
        factors = _between(settings.contrast_range, stretched)
        channels = [contrast(channel, factor) for channel, factor in zip(channels, factors, strict=True)]
    if chances[2] < settings.gamma:
        powers = _between(settings.gamma_range, power)
        channels = [gamma(channel, power, inverted) for channel, power in zip(channels, powers, strict=True)]
    chance, size = rng.random(2)
    if chance < settings.noise:
        spread = _between(settings.noise_sd, size)
        channels = [channel + spread * rng.standard_normal(channel.shape, np.float32) for channel in channels]
    return np.stack(channels, axis=-1, dtype=np.float32), np.ascontiguousarray(label)


def drop_modalities(image: np.ndarray, chance: float, rng: np.random.Generator) -> np.ndarray:
    """Set modalities of a patch to 0 with a probability: each with probability 1/2, but not all.

    Args:
        image: (x, y, z, channel) float32, normalised; changed in place.
        chance: The probability.
        rng: The only source of randomness.
    """
    if rng.random() < chance:
        dropped = rng.random((image.shape[-1],)) < 0.5
        if dropped.all():
            dropped[rng.integers(dropped.size)] = False
        image[..., dropped] = 0
    return image


def contrast(channel: np.ndarray, factor: float) -> np.ndarray:
    """Scale a channel's deviations from its mean, and clip to its original range."""
    mean = channel.mean()
    return np.clip((channel - mean) * factor + mean, channel.min(), channel.max())


def gamma(channel: np.ndarray, power: float, inverted: bool) -> np.ndarray:
    """Scale a channel to 0…1, raise it to a power, and restore its mean and standard deviation.

    Args:
        channel: Voxels of one channel.
        power: The exponent, above 0.
        inverted: Invert the image before, and invert it back after.
    """
    sign = np.float32(-1 if inverted else 1)
    channel = sign * channel
    mean, spread, low = channel.mean(), channel.std(), channel.min()
    raised = np.power((channel - low) / max(np.ptp(channel), SMALLEST), power)
    return sign * ((raised - raised.mean()) * (spread / max(raised.std(), SMALLEST)) + mean)


def _between(limits: tuple[float, float] | None, share: float | np.ndarray) -> Any:
    """Interpolate linearly between two limits; share 0 gives the lower and 1 the upper limit."""
    low, high = limits or (0.0, 0.0)
    return np.float32(low) + np.float32(high - low) * np.asarray(share, np.float32)
