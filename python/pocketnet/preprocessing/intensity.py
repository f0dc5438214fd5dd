"""Intensity normalisation: one pure function, used alike by training and inference."""

from __future__ import annotations

import numpy as np


def foreground_statistics(image: np.ndarray) -> list[dict[str, float]]:
    """Mean and standard deviation per channel over the foreground (voxels that are not zero).

    Args:
        image: (x, y, z, channel).

    Returns:
        Per channel `mean` and `std` in the image's units; 0 and 1 for a channel without foreground.
    """
    out = []
    for channel in range(image.shape[-1]):
        values = image[..., channel]
        values = values[values != 0]
        std = float(values.std(dtype=np.float64)) if values.size else 1.0
        out.append({"mean": float(values.mean(dtype=np.float64)) if values.size else 0.0, "std": std or 1.0})
    return out


def image_statistics(image: np.ndarray) -> list[dict[str, float]]:
    """Mean and standard deviation per channel over all voxels, zeros included; as `foreground_statistics` else."""
    return [{"mean": float(image[..., channel].mean(dtype=np.float64)),
             "std": float(image[..., channel].std(dtype=np.float64)) or 1.0} for channel in range(image.shape[-1])]


def statistics_for(image: np.ndarray, scheme: str) -> list[dict[str, float]]:
    """The statistics of an image that `normalise` needs for a scheme."""
    return (image_statistics if scheme == "zscore_image" else foreground_statistics)(image)


def normalise(image: np.ndarray, scheme: str, statistics: list[dict], constants: list[dict]) -> np.ndarray:
    """Normalise an image or a patch of it.

    Args:
        image: (x, y, z, channel) in the file's units.
        scheme: `zscore` (paper, BraTS: over non-zero voxels, zero stays zero), `window` (paper, LiTS) or
            `zscore_image` (over the whole image).
        statistics: The case's `statistics_for` this scheme; not used by `window`.
        constants: The fold's constants per modality (`mean`, `std`, `p0_5`, `p99_5`), used by `window`.

    Returns:
        float32, same shape.

    Raises:
        ValueError: Unknown scheme.
    """
    image = image.astype(np.float32, copy=False)
    if scheme == "zscore":
        mean, std = _row(statistics, "mean"), _row(statistics, "std")
        return np.where(image != 0, (image - mean) / std, np.float32(0))
    if scheme == "zscore_image":
        return (image - _row(statistics, "mean")) / _row(statistics, "std")
    if scheme == "window":
        clipped = np.clip(image, _row(constants, "p0_5"), _row(constants, "p99_5"))
        return (clipped - _row(constants, "mean")) / np.maximum(_row(constants, "std"), np.float32(1e-6))
    raise ValueError(f"Unknown normalisation. Received: {scheme}")


def _row(entries: list[dict], key: str) -> np.ndarray:
    return np.array([entry[key] for entry in entries], dtype=np.float32)
