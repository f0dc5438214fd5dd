"""Merging windows layer by layer, so that memory follows one layer of windows and not the volume."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from .threads import Share, alone
from .windows import Place, Tiling, gaussian_weight

Predict = Callable[[tuple[Place, ...]], np.ndarray]
Follow = Callable[[list[Any]], Iterator[Any]]


def merge(tiling: Tiling, channels: int, members: Sequence[Predict],
          follow: Follow = iter, share: Share = alone) -> Iterator[tuple[int, np.ndarray]]:
    """What the windows say about each voxel, plane by plane.

    Args:
        tiling: Where the windows lie.
        channels: Of what a window predicts.
        members: Each from a window's places to its share of the prediction, (*window, channels) float32. One after the
            other has all windows of a layer, so that only one network's activations are in memory at a time.
        follow: Wraps the list of windows, to show progress.
        share: The work among threads.

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
            said = member(window)
            share(partial(_add, total, counted, weight, weighted, window, said, layer.low), len(weight))
        end = layers[index + 1].low if index + 1 < len(layers) else layer.high
        done = end - layer.low
        share(partial(_divide, total[:, :, :done], weights[:, :, :done]), len(total))
        yield layer.low, total[:, :, :done]
        if end < layers[-1].high:
            for array in (total, weights):
                _move_up(array, done)
    next(steps, None)  # so that progress ends


def _add(total: np.ndarray, weights: np.ndarray | None, weight: np.ndarray, weighted: np.ndarray,
         window: tuple[Place, ...], said: np.ndarray, base: int, slab: slice) -> None:
    """Count a slab of a window in, and its weight where `weights` is given.

    Args:
        total: Weighted sums of predictions, changed in place.
        weights: Sums of weights, changed in place; None where they are not needed.
        weight: Weight of each voxel of a window.
        weighted: Room for a window.
        window: Where the window lies, a place per axis.
        said: The window's prediction, (*window, channels) float32.
        base: The first plane of `total`.
        slab: Of the window's first axis.
    """
    np.multiply(said[slab], weight[slab][..., None], out=weighted[slab])
    first, *across, last = window
    low, high = (min(max(first.start + at, first.low), first.high) for at in (slab.start, slab.stop))
    into = (slice(low, high), *(slice(p.low, p.high) for p in across), slice(last.low - base, last.high - base))
    inside = (slice(low - first.start, high - first.start), *(slice(p.low - p.start, p.high - p.start)
                                                               for p in window[1:]))
    total[into] += weighted[inside]
    if weights is not None:
        weights[into] += weight[inside]


def _divide(total: np.ndarray, weights: np.ndarray, slab: slice) -> None:
    total[slab] /= weights[slab, :, :, None]


def _move_up(array: np.ndarray, planes: int) -> None:
    """Drop the first planes and let zeros follow the last; in steps that do not overlap, which need no copy."""
    depth = array.shape[2]
    for start in range(0, depth, planes):
        kept = array[:, :, start + planes: start + 2 * planes]
        array[:, :, start: start + kept.shape[2]] = kept
    array[:, :, max(0, depth - planes):] = 0


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
