"""Positions and weights of the windows of a volume: as in the paper (Section II-B4), and cheaper alternatives."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ..preprocessing.boxes import centred


@dataclass(frozen=True)
class WindowSpan:
    """Position of a window along one axis, in voxels of the volume.

    Attributes:
        start: First voxel; negative if the window is larger than the volume, which is then padded with zeros.
        low, high: The part of the window inside the volume.
    """

    start: int
    low: int
    high: int


@dataclass(frozen=True)
class Tiling:
    """Windows of one size over a volume. The result at a voxel is the Gaussian-weighted mean of all windows there.

    Attributes:
        shape: Size of the volume in voxels.
        window: Size of a window in voxels.
        places: For each axis, the window positions in order.
        sigma: Standard deviation of the Gaussian weight, as a share of a window's side.
    """

    shape: tuple[int, ...]
    window: tuple[int, ...]
    places: tuple[tuple[WindowSpan, ...], ...]
    sigma: float

    def __len__(self) -> int:
        return math.prod(map(len, self.places))

    @property
    def depth(self) -> int:
        """Maximum planes along the last axis that are in memory while windows are merged."""
        return max(place.high - place.low for place in self.places[-1])

    def layer(self, last: WindowSpan) -> list[tuple[WindowSpan, ...]]:
        """Return the windows at one position along the last axis."""
        return [(*across, last) for across in itertools.product(*self.places[:-1])]


def starts(size: int, patch: int, overlap: float) -> list[int]:
    """Return the first voxels of windows of `patch` voxels along an axis of `size` voxels.

    Neighbours overlap by the share `overlap` of a side. The last window ends at the end of the axis. A window larger
    than the axis is centred on it.
    """
    if size < patch:
        return [centred(size, patch)]
    stride = max(1, round(patch * (1 - overlap)))
    return [*range(0, size - patch, stride), size - patch]


def overlapping(shape: tuple[int, ...], patch: tuple[int, ...], overlap: float, sigma: float) -> Tiling:
    """Return the paper's windows: patches that overlap by a share of a side."""
    along = [starts(n, p, overlap) for n, p in zip(shape, patch, strict=True)]
    return _tiling(shape, patch, along, sigma)


def large(shape: tuple[int, ...], patch: tuple[int, ...], divisor: tuple[int, ...], most_voxels: int, sigma: float,
          pad: bool) -> Tiling:
    """Return few large windows with minimal overlap.

    Neighbours overlap by at least a quarter of the patch and at least one voxel of the network's coarsest level. Among
    the windows with at most `most_voxels`, the tiling with the fewest voxels in total is chosen. A window is smaller
    than the patch only if `most_voxels` requires it.

    Args:
        shape: Size of the volume in voxels per axis.
        patch: Patch size of the training.
        divisor: The sides of a window must be multiples of this.
        most_voxels: Maximum voxels per window; if even the smallest windows are larger, these are used.
        sigma: Standard deviation of the Gaussian weight, as a share of a window's side.
        pad: Whether a window may be larger than the volume. Zero padding suits an image with zeros at its border;
            around other images, it creates an edge that did not occur in training.
    """
    sides = [_sides(n, p, d, max(d, p // 4), pad) for n, p, d in zip(shape, patch, divisor, strict=True)]
    choices = [tuple(zip(*choice, strict=True)) for choice in itertools.product(*sides)]
    usual = [choice for choice in choices
             if all(w >= min(p, n) for w, p, n in zip(choice[1], patch, shape, strict=True))]
    fitting = next((found for options in (usual, choices)
                    if (found := [choice for choice in options if math.prod(choice[1]) <= most_voxels])),
                   [min(choices, key=lambda choice: math.prod(choice[1]))])
    counts, window = min(fitting, key=lambda c: (math.prod(c[0]) * math.prod(c[1]), math.prod(c[0])))
    along = [_evenly(n, w, k) for n, w, k in zip(shape, window, counts, strict=True)]
    return _tiling(shape, window, along, sigma)


def _sides(size: int, patch: int, divisor: int, overlap: int, pad: bool) -> list[tuple[int, int]]:
    """Return the candidate windows along an axis as (number, voxels)."""
    whole = math.ceil(size / divisor) * divisor
    found = {whole: 1} if pad or whole == size or size < patch else {}
    if size >= divisor:
        for number in range(2, size // divisor + 2):
            side = math.ceil((size + overlap * (number - 1)) / number / divisor) * divisor
            if overlap < side < size:
                found.setdefault(side, number)
        found.setdefault(size // divisor * divisor, 2)
    return [(number, side) for side, number in found.items()]


def _evenly(size: int, side: int, number: int) -> list[int]:
    if number == 1:
        return [centred(size, side)]
    return [round(index * (size - side) / (number - 1)) for index in range(number)]


def _tiling(shape: tuple[int, ...], window: tuple[int, ...], along: list[list[int]], sigma: float) -> Tiling:
    places = tuple(tuple(WindowSpan(s, max(0, s), min(n, s + w)) for s in starts_)
                   for n, w, starts_ in zip(shape, window, along, strict=True))
    return Tiling(tuple(shape), tuple(window), places, sigma)


def gaussian_weight(patch: tuple[int, ...], sigma: float) -> np.ndarray:
    """Return the Gaussian weight of each voxel of a window, with maximum 1 in the middle.

    Args:
        patch: Window size in voxels per axis.
        sigma: Standard deviation as a share of each side.

    Returns:
        float32 of shape `patch`, at least 1e-4.
    """
    weight = np.ones((), np.float32)
    for axis, side in enumerate(patch):
        offset = (np.arange(side) - (side - 1) / 2) / (sigma * side)
        shape = [1] * len(patch)
        shape[axis] = side
        weight = weight * np.exp(-0.5 * offset**2).reshape(shape)
    return np.maximum(weight / weight.max(), 1e-4).astype(np.float32)
