"""Choose between 2D networks, which segment volumes slice by slice, and 3D networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from ..contracts.configuration import CONFIGURATIONS, Configuration, Dimensions
from ..errors import UsageError

FEW = 32
"""With this many slices, a 3D network can halve them three times and keep four: `auto` then trains it alone."""
ANISOTROPIC = 3
"""How much coarser than the others an axis has to be, in mm and in voxels, for `auto` to train in 2D, too (nnU-Net's
threshold of anisotropy)."""


@dataclass(frozen=True)
class Chosen:
    """A configuration to train.

    Attributes:
        name: `2d` or `3d`.
        reason: Why.
        through: Axis through the planes of a 2D network; None in 3D.
        beside: The other configuration, if networks are trained in both.
    """

    name: Dimensions
    reason: str
    through: int | None = None
    beside: Dimensions | None = None

    @property
    def kernel(self) -> tuple[int, ...]:
        """Sides of the network's kernels."""
        return tuple(1 if axis == self.through else 3 for axis in range(3))

    @property
    def record(self) -> Configuration:
        """The plan's record of the choice."""
        return Configuration(self.name, self.reason, self.beside)


def check(wanted: Sequence[str]) -> None:
    """Check the configurations that a user gave.

    Raises:
        UsageError: One is unknown or given twice, or `auto` is given with others.
    """
    where = f"--configuration {','.join(wanted)}"
    unknown = [name for name in wanted if name not in CONFIGURATIONS]
    if unknown:
        raise UsageError(f"Unknown configuration '{unknown[0]}'.", where=where,
                         todo=f"Use one of {', '.join(CONFIGURATIONS)}, or 2d,3d.")
    if len(wanted) > 1 and ("auto" in wanted or len(set(wanted)) < len(wanted)):
        raise UsageError("auto stands alone: it decides whether both configurations are trained." if "auto" in wanted
                         else "The same configuration is given twice.", where=where,
                         todo=f"Use one of {', '.join(CONFIGURATIONS)}, or 2d,3d.")


def candidates(shape: Sequence[float], spacing: Sequence[float], wanted: Sequence[str],
               usual: str = "auto") -> tuple[Chosen, ...]:
    """Return the configurations to train for a dataset: one, or both with 2D first.

    Single slices are 2D. With `auto`, volumes are trained in 2D and in 3D if one axis is more than `ANISOTROPIC` times
    as coarse as both others, has fewer than a third of the voxels of each, and fewer than `FEW`; all others in 3D. With
    the first two conditions, nnU-Net calls a dataset anisotropic; it trains both configurations for every volume. Which
    of the two is used is decided after the training, on validation cases (`evaluation.configurations`).

    Args:
        shape: Median shape of the cases after cropping and resampling, in voxels.
        spacing: Median spacing in mm.
        wanted: The user's choice, of `CONFIGURATIONS`; empty for the recipe's.
        usual: The recipe's choice; it does not concern single slices.

    Raises:
        UsageError: As `check`, or 3D is wanted for single slices.

    Source: nnU-Net, Isensee et al., Nature Methods 18, 203 (2021), and its `determine_fullres_target_spacing`.
    """
    check(wanted)
    sides, mm = " × ".join(f"{value:.0f}" for value in shape), " × ".join(f"{value:.4g}" for value in spacing)
    found = f"median shape {sides} voxels, spacing {mm} mm"
    flat = [axis for axis in range(len(shape)) if round(shape[axis]) <= 1]
    if flat:
        if "3d" in wanted:
            raise UsageError("A 3D network cannot be trained on single slices.",
                             where=f"--configuration {','.join(wanted)}",
                             todo=f"Use 2d or auto. The dataset has {found}.")
        return (Chosen("2d", f"the images are single slices: {found}", flat[-1]),)
    names, by = tuple(wanted) or (usual,), "given" if wanted else "the recipe's"
    coarsest = max(reversed(range(len(shape))), key=lambda axis: spacing[axis])
    others = [axis for axis in range(len(shape)) if axis != coarsest]
    anisotropic = (spacing[coarsest] > ANISOTROPIC * max(spacing[axis] for axis in others)
                   and shape[coarsest] * ANISOTROPIC < min(shape[axis] for axis in others) and shape[coarsest] < FEW)
    if names == ("auto",):
        names = ("2d", "3d") if anisotropic else ("3d",)
        by = "few slices far apart" if anisotropic else "the slices are many or close together"
    chosen = [Chosen(cast(Dimensions, name), f"{by}: {found}", coarsest if name == "2d" else None)
              for name in sorted(names)]
    if len(chosen) == 1:
        return tuple(chosen)
    return tuple(replace(one, beside=other.name) for one, other in zip(chosen, reversed(chosen), strict=True))


def in_plane(augmentation: dict[str, Any], through: int) -> dict[str, Any]:
    """Return the settings of an augmentation that mirrors along the axes of the planes only."""
    axes = augmentation.get("flip_axes")
    return augmentation | {"flip_axes": [axis for axis in (range(3) if axes is None else axes) if axis != through]}
