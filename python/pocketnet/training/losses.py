"""Losses, as functions of class indices and probabilities."""

from __future__ import annotations

from keras import ops

EPSILON = 1e-6


def l2_dice(y_true, y_pred):
    """The L2 relaxation of Dice (paper, Eq. 4).

    Per sample and channel, background included: squared distance over the sum of squared norms; mean over
    channels, then over the batch. A channel absent from both is 0.

    Args:
        y_true: Class indices, (batch, x, y[, z]), integer.
        y_pred: Probabilities, (batch, x, y[, z], classes).

    Returns:
        A scalar in [0, 1].
    """
    y_true = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
    axes = tuple(range(1, len(y_pred.shape) - 1))
    distance = ops.sum(ops.square(y_true - y_pred), axis=axes)
    norms = ops.sum(ops.square(y_true), axis=axes) + ops.sum(ops.square(y_pred), axis=axes)
    return ops.mean(distance / (norms + EPSILON))


LOSSES = {"l2_dice": l2_dice}
