"""Downsampling factors per axis for each level of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

SMALLEST_SIDE = 4
"""Voxels per axis at the coarsest depth: 128 halved five times (architectures document)."""

ANISOTROPIC = 2
"""Axes are halved together while their spacings differ by less than this factor (nnU-Net)."""

Pooling = tuple[tuple[int, ...], ...]


def everywhere(dimensions: int, depth: int) -> Pooling:
    """Every axis halved at each of `depth` downsamplings."""
    return ((2,) * dimensions,) * depth


def divisor(pooling: Pooling, dimensions: int) -> tuple[int, ...]:
    """The number that must divide a patch, per axis."""
    return tuple(prod(factors[axis] for factors in pooling) for axis in range(dimensions))


def choose_pooling(spacing: Sequence[float], most: int, bears: Callable[[int, int], bool]) -> Pooling:
    """The factors per axis of each downsampling.

    Where spacings are alike, every axis is halved at every depth, as in the paper. Else an axis waits until the
    finer ones have come within a factor of `ANISOTROPIC` of its spacing, and one that bears no more is left as it is
    while two others go on.

    Args:
        spacing: mm per axis.
        most: Most downsamplings.
        bears: Whether an axis bears so many halvings in all.

    Returns:
        A factor per axis for each downsampling, 2 or 1.

    Source: nnU-Net, Isensee et al., Nature Methods 18, 203 (2021), network topology.
    """
    current = list(spacing)
    halved = [0] * len(current)
    alike = max(current) < ANISOTROPIC * min(current)
    pooling: list[tuple[int, ...]] = []
    while len(pooling) < most:
        able = [axis for axis in range(len(current)) if bears(axis, halved[axis] + 1)]
        if len(able) < (len(current) if alike else 2):
            break
        finest = min(current[axis] for axis in able)
        chosen = [axis for axis in able if current[axis] < ANISOTROPIC * finest]
        for axis in chosen:
            halved[axis] += 1
            current[axis] *= 2
        pooling.append(tuple(2 if axis in chosen else 1 for axis in range(len(current))))
    return tuple(pooling)


def pooling_of_shape(shape: Sequence[float], spacing: Sequence[float], most: int) -> Pooling:
    """The downsamplings for images of `shape` voxels, whose patch may be up to half larger."""
    return choose_pooling(spacing, most, lambda axis, times: 2**times * SMALLEST_SIDE <= shape[axis] * 1.5)


def pooling_of_patch(patch: Sequence[int], spacing: Sequence[float], most: int) -> Pooling:
    """The downsamplings that a patch bears: each side divides, and keeps at least `SMALLEST_SIDE` voxels."""
    return choose_pooling(spacing, most, lambda axis, times: patch[axis] % 2**times == 0
                          and patch[axis] // 2**times >= SMALLEST_SIDE)
