"""Choose patch, downsamplings and batch for the images of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt, prod
from typing import Any

from ..models.pooling import Pooling, choose_pooling, divisor, pooling_of_patch, pooling_of_shape

FEWEST_DOWNSAMPLINGS = 3
"""With fewer along all axes, the downsamplings follow the spacing, whatever the recipe says."""
MOST_SLICES = 32
"""Most slices per step that `choose_sizes` takes by itself."""


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


def choose_sizes(shape: Sequence[float], spacing: Sequence[float], recipe: dict[str, Any],
                 given: tuple[int, ...] | None, depth: int | None, through: int | None
                 ) -> tuple[tuple[int, ...], Pooling, int]:
    """Return the patch, the downsamplings and the batch of a plan.

    A step has about `step_voxels` voxels: in 3D fewer patches than the recipe's batch if they are large, but at least
    one. A 2D plan has patches of one slice, and as many of them in a step as fit: at least the recipe's batch, at most
    `MOST_SLICES`. A recipe without `step_voxels` has the voxels of its batch of its largest 3D patches.

    Args:
        shape: Median image shape after cropping and resampling, in voxels.
        spacing: Spacing per axis in mm.
        recipe: The recipe, with `depth`, `pooling`, `patch_side`, `patch_voxels`, the batch of its `training`, and
            perhaps `step_voxels`.
        given: The user's patch; None to choose one.
        depth: The user's number of downsamplings; None for as many as the recipe has and the patch allows.
        through: Axis through the planes of a 2D plan; None in 3D.
    """
    batch, voxels = int(recipe["training"]["batch"]), recipe.get("patch_voxels", 0)
    step = recipe.get("step_voxels", batch * voxels)
    if through is not None:
        axes = [axis for axis in range(len(shape)) if axis != through]
        patch, pooling = _sizes([shape[axis] for axis in axes], [spacing[axis] for axis in axes],
                                recipe | {"patch_side": isqrt(voxels)},
                                given and tuple(given[axis] for axis in axes), depth)
        slices = max(batch, min(MOST_SLICES, step // prod(patch)))
        return _with(patch, through), tuple(_with(factors, through) for factors in pooling), slices
    patch, pooling = _sizes(shape, spacing, recipe, given, depth)
    return patch, pooling, max(1, min(batch, step // prod(patch))) if "step_voxels" in recipe else batch


def _sizes(shape: Sequence[float], spacing: Sequence[float], recipe: dict[str, Any], given: tuple[int, ...] | None,
           depth: int | None) -> tuple[tuple[int, ...], Pooling]:
    """Return patch and downsamplings, the latter regardless of the spacing if the recipe says so.

    If the images allow fewer than `FEWEST_DOWNSAMPLINGS` along all axes, as anisotropic ones do, the spacing counts.
    """
    alike = (1.0,) * len(shape)
    mm = spacing if recipe.get("pooling") == "by_spacing" else alike

    def found(mm: Sequence[float]) -> tuple[tuple[int, ...], Pooling]:
        forced = None if depth is None else choose_pooling(mm, depth, lambda axis, times: True)
        patch = given or choose_patch(
            shape, mm, recipe["patch_side"], recipe["patch_voxels"],
            pooling_of_shape(shape, mm, recipe["depth"]) if forced is None else forced)
        return patch, pooling_of_patch(patch, mm, recipe["depth"]) if forced is None else forced

    patch, pooling = found(mm)
    if depth is None and mm is alike and len(pooling) < FEWEST_DOWNSAMPLINGS:
        by_spacing = found(spacing)
        if len(by_spacing[1]) > len(pooling):
            return by_spacing
    return patch, pooling


def _with(values: tuple[int, ...], through: int) -> tuple[int, ...]:
    """Insert a 1 for the axis through the planes."""
    return (*values[:through], 1, *values[through:])
