"""Normalise intensities, in the same way for training and inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..contracts.case import Statistics
from ..contracts.splits import Intensity


class Moments:
    """Mean and standard deviation per channel of an image that is processed in parts.

    Args:
        channels: Number of channels.
        scheme: Normalisation scheme. `zscore_image` uses all voxels, the others only the non-zero voxels.

    Source: Chan, Golub and LeVeque, 1979, for combining the parts.
    """

    def __init__(self, channels: int, scheme: str):
        self._everywhere = scheme == "zscore_image"
        self._sums = [(0, 0.0, 0.0)] * channels  # voxels, mean, variance

    def add(self, image: np.ndarray) -> None:
        """Add a part of the image, (…, channel)."""
        for channel, before in enumerate(self._sums):
            values = image[..., channel]
            values = values if self._everywhere else values[values != 0]
            if values.size:
                part = values.size, float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)) ** 2
                self._sums[channel] = _joined(before, part) if before[0] else part

    def statistics(self) -> tuple[Statistics, ...]:
        """Return mean and standard deviation per channel, in the image's units; 0 and 1 if no voxel counts."""
        return tuple(Statistics(mean, variance**0.5 or 1.0) for _, mean, variance in self._sums)


def _joined(a: tuple[int, float, float], b: tuple[int, float, float]) -> tuple[int, float, float]:
    n, apart = a[0] + b[0], b[1] - a[1]
    share = b[0] / n
    return n, a[1] + apart * share, a[2] * (1 - share) + b[2] * share + apart**2 * share * (1 - share)


def statistics_for(image: np.ndarray, scheme: str) -> tuple[Statistics, ...]:
    """Compute the statistics of an image (…, channel) for a normalisation scheme; see `Moments`."""
    moments = Moments(image.shape[-1], scheme)
    moments.add(image)
    return moments.statistics()


@dataclass(frozen=True)
class Normaliser:
    """Normalise images or patches for a network.

    Attributes:
        scheme: `zscore` (paper, BraTS: over non-zero voxels, zero stays zero), `window` (paper, LiTS) or
            `zscore_image` (over the whole image).
        constants: The fold's constants per modality, for `window`.
    """

    scheme: str
    constants: Sequence[Intensity] = ()

    def __call__(self, image: np.ndarray, statistics: Sequence[Statistics], out: np.ndarray | None = None
                 ) -> np.ndarray:
        """Normalise an image or a patch.

        Args:
            image: (x, y, z, channel) in the file's units.
            statistics: The case's statistics for this scheme (`statistics_for`); `window` ignores them.
            out: Array for the result, float32 of the same shape; None allocates one.

        Returns:
            The normalised image, float32 of the same shape.

        Raises:
            ValueError: The scheme is unknown.
        """
        image = image.astype(np.float32, copy=False)
        out = np.empty(image.shape, np.float32) if out is None else out
        if self.scheme == "zscore":
            # Work plane by plane, so that the data stay in the CPU cache, and merge the last spatial axis with the
            # channels: NumPy is slow if the last axis is short.
            mean, std = (np.tile(_row(statistics, key), image.shape[-2]) for key in ("mean", "std"))
            for plane, into in zip(image, out, strict=True):
                rows = plane.reshape(-1, mean.size)
                normalised = rows - mean
                normalised /= std
                np.copyto(normalised, 0, where=rows == 0)
                into[...] = normalised.reshape(plane.shape)
        elif self.scheme == "zscore_image":
            np.subtract(image, _row(statistics, "mean"), out=out)
            out /= _row(statistics, "std")
        elif self.scheme == "window":
            np.clip(image, _row(self.constants, "p0_5"), _row(self.constants, "p99_5"), out=out)
            out -= _row(self.constants, "mean")
            out /= np.maximum(_row(self.constants, "std"), np.float32(1e-6))
        else:
            raise ValueError(f"Unknown normalisation. Received: {self.scheme}")
        return out


def _row(entries: Sequence[Statistics] | Sequence[Intensity], key: str) -> np.ndarray:
    return np.array([getattr(entry, key) for entry in entries], dtype=np.float32)
