"""Merge windows layer by layer, so that memory depends on one layer of windows and not on the volume."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from .threads import Share, alone
from .windows import Tiling, WindowSpan, gaussian_weight

Predict = Callable[[tuple[WindowSpan, ...]], np.ndarray]
WindowProgress = Callable[[list[Any]], Iterator[Any]]


def merge(tiling: Tiling, channels: int, members: Sequence[Predict],
          follow: WindowProgress = iter, share: Share = alone) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the Gaussian-weighted mean prediction, slab by slab.

    Args:
        tiling: The windows.
        channels: Number of channels of a window's prediction.
        members: Functions from a window's places to the member's share of the prediction, (*window, channels) float32.
            Each member predicts all windows of a layer before the next, so that only one network's activations are in
            memory at a time.
        follow: Wraps the list of windows to show progress.
        share: Distributes work over threads.

    Yields:
        The first plane and (x, y, planes, channels) float32, in the order of planes, each plane once. The array is
        valid until the next iteration.
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
    next(steps, None)  # ends the progress display


def _add(total: np.ndarray, weights: np.ndarray | None, weight: np.ndarray, weighted: np.ndarray,
         window: tuple[WindowSpan, ...], said: np.ndarray, base: int, slab: slice) -> None:
    """Add a slab of a window's prediction to the weighted sums.

    Args:
        total: Weighted sums of predictions, changed in place.
        weights: Sums of weights, changed in place; None to leave them out.
        weight: Weight of each voxel of a window.
        weighted: Buffer for a window.
        window: Place of the window on each axis.
        said: The window's prediction, (*window, channels) float32.
        base: Index of the first plane of `total` in the volume.
        slab: Slice of the window's first axis.
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
    """Shift planes to the front and fill the end with zeros, in steps that do not overlap and so need no copy."""
    depth = array.shape[2]
    for start in range(0, depth, planes):
        kept = array[:, :, start + planes: start + 2 * planes]
        array[:, :, start: start + kept.shape[2]] = kept
    array[:, :, max(0, depth - planes):] = 0


def _channel_by_channel(shape: tuple[int, ...], channels: int) -> np.ndarray:
    """Return zeros (*shape, channels) with channels as the slowest axis in memory.

    Most engines use this layout, and NumPy is slow on a short fastest axis.
    """
    return np.moveaxis(np.zeros((channels, *shape), np.float32), 0, -1)


def last_region(probabilities: np.ndarray) -> np.ndarray:
    """Return the number of the last region with a probability above 0.5, from 1; 0 without one.

    Args:
        probabilities: (…, regions), in the order of writing.

    Returns:
        (…) uint8.
    """
    out = np.zeros(probabilities.shape[:-1], np.uint8)
    for channel in range(probabilities.shape[-1]):
        np.copyto(out, channel + 1, where=probabilities[..., channel] > 0.5)
    return out


def most_likely(probabilities: np.ndarray) -> np.ndarray:
    """Return the most probable class: `argmax` over the last axis, but fast if classes are the slowest axis in memory.

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
