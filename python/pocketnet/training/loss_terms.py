"""Loss terms that compare truth and prediction channel by channel, over the whole patch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from keras import ops

if TYPE_CHECKING:
    import keras

EPSILON = 1e-6
FALSE_POSITIVES, FALSE_NEGATIVES = 0.3, 0.7
"""Weights in the Tversky index: a missed voxel costs more than a false positive."""
FOCUS = 0.75
"""Exponent of the focal Tversky loss (1 / γ with γ = 4/3 in the source)."""
REACH = 5
"""Distance from the reference surface, in voxels, beyond which the boundary loss does not grow."""


class Compared(NamedTuple):
    """Truth and prediction by channel.

    Attributes:
        true: Truth, (batch, x, y[, z], channels), 0 or 1, float32.
        found: Probabilities, (batch, x, y[, z], channels), float32.
        kept: 1 for a channel that counts in a sample, else 0, (batch, channels); None if all count.
    """

    true: keras.KerasTensor
    found: keras.KerasTensor
    kept: keras.KerasTensor | None

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes."""
        return tuple(range(1, len(self.found.shape) - 1))


def l2_dice(compared: Compared) -> keras.KerasTensor:
    """The squared distance divided by the sum of squared norms, (batch, channels) in [0, 1].

    A channel that is absent from both counts as 0. Source: paper, Eq. 4.
    """
    true, found, axes = compared.true, compared.found, compared.axes
    distance = ops.sum(ops.square(true - found), axis=axes)
    norms = ops.sum(ops.square(true), axis=axes) + ops.sum(ops.square(found), axis=axes)
    return distance / (norms + EPSILON)


def dice(compared: Compared) -> keras.KerasTensor:
    """1 - 2 |t p| / (|t| + |p|), with plain sums, (batch, channels) in [0, 1] (nnU-Net's soft Dice)."""
    shared = ops.sum(compared.true * compared.found, axis=compared.axes)
    sizes = ops.sum(compared.true, axis=compared.axes) + ops.sum(compared.found, axis=compared.axes)
    return 1.0 - (2.0 * shared + EPSILON) / (sizes + EPSILON)


def tversky(compared: Compared) -> keras.KerasTensor:
    """1 - |t p| / (|t p| + 0.3 |p outside t| + 0.7 |t outside p|), (batch, channels) in [0, 1].

    Missed voxels cost more than false positives, so small structures are missed less often. Source: Salehi et al.,
    Tversky loss function for image segmentation using 3D fully convolutional deep networks, MLMI 2017, Eq. 3 and
    Table 1.
    """
    true, found, axes = compared.true, compared.found, compared.axes
    shared = ops.sum(true * found, axis=axes)
    false = FALSE_POSITIVES * ops.sum((1.0 - true) * found, axis=axes)
    missed = FALSE_NEGATIVES * ops.sum(true * (1.0 - found), axis=axes)
    return 1.0 - (shared + EPSILON) / (shared + false + missed + EPSILON)


def focal_tversky(compared: Compared) -> keras.KerasTensor:
    """The Tversky loss to the power of 3/4, (batch, channels). Poorly segmented channels weigh more.

    Source: Abraham and Khan, A novel focal Tversky loss function with improved attention U-Net for lesion
    segmentation, ISBI 2019, Eq. 4.
    """
    return ops.power(ops.maximum(tversky(compared), EPSILON), FOCUS)


def boundary(compared: Compared) -> keras.KerasTensor:
    """The mean over voxels of the error times the distance to the true surface, (batch, channels) in [0, 1].

    Distances are chessboard distances in voxels, limited to 5 and divided by 5. A perfect prediction has 0. Source:
    Kervadec et al., Boundary loss for highly unbalanced segmentation, Medical Image Analysis 67, 101851 (2021), Eq. 5,
    minus its value for the truth.
    """
    true = compared.true
    signed = (_depth(1.0 - true) - _depth(true)) / REACH
    return ops.mean(ops.stop_gradient(signed) * (compared.found - true), axis=compared.axes)


def _depth(inside: keras.KerasTensor) -> keras.KerasTensor:
    """Return the distance of each voxel of a mask to the nearest voxel outside, at most `REACH`; 0 outside the mask."""
    outside = 1.0 - inside
    depth = inside
    for _ in range(REACH - 1):
        outside = ops.max_pool(outside, 3, strides=1, padding="same")
        depth = depth + 1.0 - outside
    return depth
