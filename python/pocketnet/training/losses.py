"""Losses as functions of class indices and probabilities, always computed in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import ops

if TYPE_CHECKING:
    import keras

EPSILON = 1e-6
SMALLEST_PROBABILITY = 1e-7


def l2_dice(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """The L2 relaxation of Dice (paper, Eq. 4).

    For each sample and channel, background included: the squared distance divided by the sum of squared norms. The
    loss is the mean over channels, then over the batch. A channel that is absent from both counts as 0.

    Args:
        y_true: Class indices, (batch, x, y[, z]), integer.
        y_pred: Probabilities, (batch, x, y[, z], classes).

    Returns:
        A scalar in [0, 1].
    """
    y_true, y_pred, axes = _prepare(y_true, y_pred)
    distance = ops.sum(ops.square(y_true - y_pred), axis=axes)
    norms = ops.sum(ops.square(y_true), axis=axes) + ops.sum(ops.square(y_pred), axis=axes)
    return ops.mean(distance / (norms + EPSILON))


def cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Categorical cross-entropy: the mean of -log(probability of the true class).

    Args:
        y_true: Class indices, (batch[, x, y[, z]]), integer.
        y_pred: Probabilities, (batch[, x, y[, z]], classes).

    Returns:
        A scalar ≥ 0, in nats.
    """
    y_true, y_pred, _ = _prepare(y_true, y_pred)
    return -ops.mean(ops.sum(y_true * ops.log(ops.maximum(y_pred, SMALLEST_PROBABILITY)), axis=-1))


def dice_cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
    """Soft Dice loss plus cross-entropy, both with weight 1 (as in nnU-Net).

    The Dice term is 1 - 2 |t p| / (|t| + |p|), with plain sums, for each sample and channel, background included; it is
    averaged over channels, then over the batch.

    Args:
        y_true: Class indices, (batch, x, y[, z]), integer.
        y_pred: Probabilities, (batch, x, y[, z], classes).

    Returns:
        A scalar ≥ 0.
    """
    one_hot, probabilities, axes = _prepare(y_true, y_pred)
    shared = ops.sum(one_hot * probabilities, axis=axes)
    sizes = ops.sum(one_hot, axis=axes) + ops.sum(probabilities, axis=axes)
    dice = ops.mean(1.0 - (2.0 * shared + EPSILON) / (sizes + EPSILON))
    return dice + cross_entropy(y_true, y_pred)


def _prepare(y_true: keras.KerasTensor,
             y_pred: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor, tuple[int, ...]]:
    """Return the one-hot truth and the probabilities in float32, and the spatial axes."""
    y_pred = ops.cast(y_pred, "float32")
    one_hot = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype="float32")
    return one_hot, y_pred, tuple(range(1, len(y_pred.shape) - 1))


LOSSES = {"l2_dice": l2_dice, "dice_cross_entropy": dice_cross_entropy, "cross_entropy": cross_entropy}
