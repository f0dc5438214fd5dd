"""Merging windows layer by layer, so that memory follows one layer of windows and not the volume."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .windows import Place, Tiling, gaussian_weight

Predict = Callable[[tuple[Place, ...]], np.ndarray]
Follow = Callable[[list], Iterator]


def merge(tiling: Tiling, channels: int, members: Sequence[Predict],
          follow: Follow = iter) -> Iterator[tuple[int, np.ndarray]]:
    """What the windows say about each voxel, plane by plane.

    Args:
        channels: Of what a window predicts.
        members: Each from a window's places to its share of the prediction, (*window, channels) float32. One after the
            other has all windows of a layer, so that only one network's activations are in memory at a time.
        follow: Wraps the list of windows, to show progress.

    Yields:
        The first plane and (x, y, planes, channels) float32, in the order of planes, each plane once. The array is
        good until the next one is asked for.
    """
    layers = tiling.places[-1]
    weight = gaussian_weight(tiling.window, tiling.sigma)
    weighted = _channel_by_channel(tiling.window, channels)
    total = _channel_by_channel((*tiling.shape[:-1], tiling.depth), channels)
    weights = np.zeros(total.shape[:-1], np.float32)
    steps = follow([(layer, member, window) for layer in layers for member in members
                    for window in tiling.layer(layer)])
    a_layer = len(members) * len(tiling) // len(layers)
    for index, layer in enumerate(layers):
        for _, member, window in itertools.islice(steps, a_layer):
            counted = weights if member is members[0] else None
            np.multiply(member(window), weight[..., None], out=weighted)
            _add(total, counted, weight, window, weighted, layer.low)
        end = layers[index + 1].low if index + 1 < len(layers) else layer.high
        done = end - layer.low
        total[:, :, :done] /= weights[:, :, :done, None]
        yield layer.low, total[:, :, :done]
        for array in (total, weights):
            rest = array[:, :, done:].copy("K") if done * 2 < array.shape[2] else array[:, :, done:]
            array[:, :, : rest.shape[2]] = rest
            array[:, :, rest.shape[2]:] = 0
    next(steps, None)  # so that progress ends


def _add(total: np.ndarray, weights: np.ndarray | None, weight: np.ndarray, window: tuple[Place, ...],
         weighted: np.ndarray, base: int) -> None:
    """Count a weighted window in, its weight where `weights` is given; `base` is the first plane of `total`."""
    *across, last = window
    into = (*(slice(p.low, p.high) for p in across), slice(last.low - base, last.high - base))
    inside = tuple(slice(p.low - p.start, p.high - p.start) for p in window)
    total[into] += weighted[inside]
    if weights is not None:
        weights[into] += weight[inside]


def _channel_by_channel(shape: tuple[int, ...], channels: int) -> np.ndarray:
    """Zeros (*shape, channels) that lie in memory as most engines give them: NumPy is slow over a few numbers."""
    return np.moveaxis(np.zeros((channels, *shape), np.float32), 0, -1)


def most_likely(probabilities: np.ndarray) -> np.ndarray:
    """The class with the highest probability over the last axis, the first of equal ones: `argmax`, but quick where
    the classes lie one after the other.

    Args:
        probabilities: (…, classes), at most 256 classes.

    Returns:
        (…) uint8.
    """
    highest = probabilities[..., 0].copy()
    out = np.zeros(highest.shape, np.uint8)
    for channel in range(1, probabilities.shape[-1]):
        higher = probabilities[..., channel] > highest
        np.copyto(out, channel, where=higher)
        np.maximum(highest, probabilities[..., channel], out=highest)
    return out
