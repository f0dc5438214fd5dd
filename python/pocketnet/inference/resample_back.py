"""Resample predictions from the network's grid to the case's own grid, a few planes at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..preprocessing.image import planes_at_once
from ..preprocessing.resample import needed_planes, resample_planes
from ..preprocessing.scan import PreparedScan


def on_source(merged: Iterator[tuple[int, np.ndarray]], prepared: PreparedScan) -> Iterator[tuple[int, np.ndarray]]:
    """Resample slabs of probabilities linearly to the cropped part of the case's own grid.

    Args:
        merged: The first plane and (x, y, planes, channels) float32, in order, each plane once, on the resampled grid
            of `prepared`.
        prepared: The case.

    Yields:
        The same on the grid of `prepared.scan`, within its box; at most `planes_at_once` planes each.
    """
    if prepared.shape == prepared.cropped:
        yield from _in_parts(merged)
        return
    depth, new_depth = prepared.shape[2], prepared.cropped[2]
    base, kept, done = 0, None, 0
    for first, planes in _in_parts(merged):
        kept = planes.copy() if kept is None else np.concatenate([kept, planes], axis=2)
        ready = first + planes.shape[2]
        at_once = planes_at_once(prepared.cropped[:2], 4 * planes.shape[3])
        while done < new_depth:
            stop = min(done + at_once, new_depth)
            while stop > done and needed_planes(depth, new_depth, done, stop)[1] > ready:
                stop -= 1
            if stop == done:
                break
            low, high = needed_planes(depth, new_depth, done, stop)
            part = np.ascontiguousarray(kept[:, :, low - base: high - base])
            yield done, resample_planes(part, low, depth, prepared.cropped, done, stop)
            done = stop
        if done < new_depth:
            low = max(base, min(ready, needed_planes(depth, new_depth, done, done + 1)[0]))
            base, kept = low, kept[:, :, low - base:].copy()


def _in_parts(merged: Iterator[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    for first, planes in merged:
        depth = planes_at_once(planes.shape[:2], 4 * planes.shape[3])
        for start in range(0, planes.shape[2], depth):
            yield first + start, planes[:, :, start: start + depth]
