"""Choose the patch for the images of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..models.pooling import Pooling, divisor


def choose_patch(shape: Sequence[float], spacing: Sequence[float], side: int, voxels: int,
                 pooling: Pooling) -> tuple[int, ...]:
    """Return the largest patch within the limits for a side and for the number of voxels.

    The patch starts as the median shape, rounded to multiples of the downsampling factors. Then the axis that is
    longest in mm shrinks, step by step, until at most `voxels` are left.

    Args:
        shape: Median image shape after cropping and resampling, in voxels.
        spacing: Spacing per axis in mm.
        side: Maximum voxels per axis.
        voxels: Maximum voxels in total.
        pooling: Factors per axis of each downsampling.
    """
    steps = divisor(pooling, len(shape))
    patch = [min(side // step * step, max(step, round(size / step) * step))
             for size, step in zip(shape, steps, strict=True)]
    while prod(patch) > voxels and any(size > step for size, step in zip(patch, steps, strict=True)):
        longest = max((axis for axis, step in enumerate(steps) if patch[axis] > step),
                      key=lambda axis: patch[axis] * spacing[axis])
        patch[longest] -= steps[longest]
    return tuple(patch)
