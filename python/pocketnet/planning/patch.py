"""The patch that suits the images."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..models.pooling import Pooling, divisor


def choose_patch(shape: Sequence[float], spacing: Sequence[float], side: int, voxels: int,
                 pooling: Pooling) -> tuple[int, ...]:
    """The patch for images of `shape` voxels: their shape, within a side and a number of voxels.

    Starts from the median shape after cropping and resampling, rounded to what `pooling` divides, and takes from
    the axis that is longest in mm until at most `voxels` are left.
    """
    steps = divisor(pooling, len(shape))
    patch = [min(side // step * step, max(step, round(size / step) * step))
             for size, step in zip(shape, steps, strict=True)]
    while prod(patch) > voxels and any(size > step for size, step in zip(patch, steps, strict=True)):
        longest = max((axis for axis, step in enumerate(steps) if patch[axis] > step),
                      key=lambda axis: patch[axis] * spacing[axis])
        patch[longest] -= steps[longest]
    return tuple(patch)
