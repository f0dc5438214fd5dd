"""Choose between 2D networks, which segment volumes slice by slice, and 3D networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..contracts.plan import CONFIGURATIONS
from ..errors import UsageError

FEW = 32
"""With this many slices, a 3D network can halve them three times and keep four: `auto` then stays in 3D."""
ANISOTROPIC = 3
"""How much coarser than the others an axis has to be, in mm and in voxels, for `auto` to choose 2D (nnU-Net's
threshold of anisotropy)."""


@dataclass(frozen=True)
class Chosen:
    """A choice.

    Attributes:
        name: `2d` or `3d`.
        reason: Why.
        through: Axis through the planes of a 2D network; None in 3D.
    """

    name: str
    reason: str
    through: int | None = None

    @property
    def kernel(self) -> tuple[int, ...]:
        """Sides of the network's kernels."""
        return tuple(1 if axis == self.through else 3 for axis in range(3))


def configure(shape: Sequence[float], spacing: Sequence[float], wanted: str | None, usual: str = "auto") -> Chosen:
    """Choose the configuration of a dataset.

    Single slices are 2D. Other volumes are 2D with `auto` if one axis is more than `ANISOTROPIC` times as coarse as
    both others, has fewer than a third of the voxels of each, and fewer than `FEW`. With the first two conditions,
    nnU-Net calls a dataset anisotropic. nnU-Net itself trains both configurations and chooses by cross-validation.

    Args:
        shape: Median shape of the cases after cropping and resampling, in voxels.
        spacing: Median spacing in mm.
        wanted: The user's choice, one of `CONFIGURATIONS`; None for the recipe's.
        usual: The recipe's choice; it does not concern single slices.

    Raises:
        UsageError: `wanted` is unknown, or 3D is wanted for single slices.

    Source: nnU-Net, Isensee et al., Nature Methods 18, 203 (2021), and its `determine_fullres_target_spacing`.
    """
    if wanted not in (None, *CONFIGURATIONS):
        raise UsageError(f"Unknown configuration '{wanted}'.", where="--configuration",
                         todo=f"Use one of {', '.join(CONFIGURATIONS)}.")
    sides, mm = " × ".join(f"{value:.0f}" for value in shape), " × ".join(f"{value:.4g}" for value in spacing)
    found = f"median shape {sides} voxels, spacing {mm} mm"
    flat = [axis for axis in range(len(shape)) if round(shape[axis]) <= 1]
    if flat:
        if wanted == "3d":
            raise UsageError("A 3D network cannot be trained on single slices.", where="--configuration 3d",
                             todo=f"Use 2d or auto. The dataset has {found}.")
        return Chosen("2d", f"the images are single slices: {found}", flat[-1])
    rule, by = wanted or usual, "given" if wanted else "the recipe's"
    coarsest = max(reversed(range(len(shape))), key=lambda axis: spacing[axis])
    others = [axis for axis in range(len(shape)) if axis != coarsest]
    anisotropic = (spacing[coarsest] > ANISOTROPIC * max(spacing[axis] for axis in others)
                   and shape[coarsest] * ANISOTROPIC < min(shape[axis] for axis in others) and shape[coarsest] < FEW)
    if rule == "2d" or (rule == "auto" and anisotropic):
        return Chosen("2d", f"{'few slices far apart' if rule == 'auto' else by}: {found}", coarsest)
    return Chosen("3d", f"{'the slices are many or close together' if rule == 'auto' else by}: {found}")


def in_plane(augmentation: dict[str, Any], through: int) -> dict[str, Any]:
    """Return the settings of an augmentation that mirrors along the axes of the planes only."""
    axes = augmentation.get("flip_axes")
    return augmentation | {"flip_axes": [axis for axis in (range(3) if axes is None else axes) if axis != through]}
