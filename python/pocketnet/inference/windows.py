"""Where the windows of a volume lie, and what each of them counts (paper, Section II-B4, and ways that cost less)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ..preprocessing.boxes import centred


@dataclass(frozen=True)
class Place:
    """One window's place along one axis, in voxels of the volume.

    Attributes:
        start: First voxel; negative where the window is larger than the volume, which zeros surround.
        low, high: The part of it that is in the volume.
    """

    start: int
    low: int
    high: int


@dataclass(frozen=True)
class Tiling:
    """Windows of one size over a volume, each voxel the Gaussian-weighted mean of all that have it.

    Attributes:
        shape: Voxels of the volume.
        window: Voxels of a window.
        places: By axis, in order.
        sigma: Standard deviation of a window's importance, as a share of a side.
    """

    shape: tuple[int, ...]
    window: tuple[int, ...]
    places: tuple[tuple[Place, ...], ...]
    sigma: float

    def __len__(self) -> int:
        return math.prod(map(len, self.places))

    @property
    def depth(self) -> int:
        """Most planes along the last axis that are open at once while windows are merged."""
        return max(place.high - place.low for place in self.places[-1])

    def layer(self, last: Place) -> list[tuple[Place, ...]]:
        """The windows at one place along the last axis."""
        return [(*across, last) for across in itertools.product(*self.places[:-1])]


def starts(size: int, patch: int, overlap: float) -> list[int]:
    """Where windows of `patch` voxels start along an axis of `size` voxels.

    Neighbours overlap by `overlap` of a side; the last window ends with the axis. A window larger than the axis is
    centred on it.
    """
    if size < patch:
        return [centred(size, patch)]
    stride = max(1, round(patch * (1 - overlap)))
    return [*range(0, size - patch, stride), size - patch]


def overlapping(shape: tuple[int, ...], patch: tuple[int, ...], overlap: float, sigma: float) -> Tiling:
    """The paper's windows: patches that overlap by a share of a side."""
    along = [starts(n, p, overlap) for n, p in zip(shape, patch, strict=True)]
    return _tiling(shape, patch, along, sigma)


def large(shape: tuple[int, ...], patch: tuple[int, ...], divisor: tuple[int, ...], most_voxels: int, sigma: float,
          pad: bool) -> Tiling:
    """Few large windows that overlap no more than they must.

    Neighbours overlap by a quarter of the patch, or a voxel of the network's coarsest level where that is more. Of all
    that have at most `most_voxels` a window, the windows with the fewest voxels in all; none is smaller than the patch
    unless memory makes it.

    Args:
        shape: Voxels of the volume per axis.
        patch: What the network was trained on.
        divisor: What a window's sides must be multiples of.
        most_voxels: Of a window; where not even the smallest windows have so few, these are taken.
        sigma: Standard deviation of the Gaussian weight, as a share of a window's side.
        pad: Whether a window may be larger than the volume. Zeros around an image that has zeros at its border look as
            it does; around another they make an edge that no training image had.
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
    """Windows along an axis as (number, voxels), of every size that makes sense."""
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
    places = tuple(tuple(Place(s, max(0, s), min(n, s + w)) for s in starts_)
                   for n, w, starts_ in zip(shape, window, along, strict=True))
    return Tiling(tuple(shape), tuple(window), places, sigma)


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
