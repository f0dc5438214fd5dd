"""Losses as functions of class indices and probabilities, always computed in float32.

Each has a marginal form for targets with channels (`targets`), where not everything was annotated. Voxels that nobody
annotated do not count. In a case in which some labels were not annotated, their probabilities are added to the
background's, with which they are one class. The Dice term then has no channels of their own for them, and the
cross-entropy of a voxel is -log of the sum of the probabilities of its possible classes.

Source of the marginal forms: Shi et al., Medical Image Analysis 70, 101979 (2021), Section 3 (marginal loss). The
target adaptive loss of Fang and Yan, IEEE TMI 39(11), 3619 (2020), merges labels in the same way.

The forms for regions, labels that overlap, compare each region with its own sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from keras import ops

from ..contracts.labels import BACKGROUND, overlapping
from .targets import INSIDE, MERGED, POSSIBLE, UNKNOWN

if TYPE_CHECKING:
    import keras

    from ..contracts.plan import Plan

Weights = Sequence[float] | None
"""Weight of each class, as a share of their sum: in the Dice term of a channel, in the cross-entropy of a voxel by its
true class (of regions: by channel). None: all count the same."""
EPSILON = 1e-6
SMALLEST_PROBABILITY = 1e-7


def l2_dice(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
            ) -> keras.KerasTensor:
    """The L2 relaxation of Dice (paper, Eq. 4).

    For each sample and channel, background included: the squared distance divided by the sum of squared norms. The
    loss is the mean over channels, then over the batch. A channel that is absent from both counts as 0.

    Args:
        y_true: Class indices, (batch, x, y[, z]), integer.
        y_pred: Probabilities, (batch, x, y[, z], classes).
        weights: Weights of the classes.

    Returns:
        A scalar in [0, 1].
    """
    y_true, y_pred, axes = _prepare(y_true, y_pred)
    distance = ops.sum(ops.square(y_true - y_pred), axis=axes)
    norms = ops.sum(ops.square(y_true), axis=axes) + ops.sum(ops.square(y_pred), axis=axes)
    return _mean(distance / (norms + EPSILON), weights)


def cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                  ) -> keras.KerasTensor:
    """Categorical cross-entropy: the mean of -log(probability of the true class).

    Args:
        y_true: Class indices, (batch[, x, y[, z]]), integer.
        y_pred: Probabilities, (batch[, x, y[, z]], classes).
        weights: Weights of the classes.

    Returns:
        A scalar ≥ 0, in nats.
    """
    y_true, y_pred, _ = _prepare(y_true, y_pred)
    entropy = ops.sum(y_true * ops.log(ops.maximum(y_pred, SMALLEST_PROBABILITY)), axis=-1)
    if weights is None:
        return -ops.mean(entropy)
    weight = ops.sum(y_true * ops.convert_to_tensor(weights, "float32"), axis=-1)
    return -ops.sum(weight * entropy) / ops.sum(weight)


def dice_cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                       ) -> keras.KerasTensor:
    """Soft Dice loss plus cross-entropy, both with weight 1 (as in nnU-Net).

    The Dice term is 1 - 2 |t p| / (|t| + |p|), with plain sums, for each sample and channel, background included; it is
    averaged over channels, then over the batch.

    Args:
        y_true: Class indices, (batch, x, y[, z]), integer.
        y_pred: Probabilities, (batch, x, y[, z], classes).
        weights: Weights of the classes.

    Returns:
        A scalar ≥ 0.
    """
    one_hot, probabilities, axes = _prepare(y_true, y_pred)
    shared = ops.sum(one_hot * probabilities, axis=axes)
    sizes = ops.sum(one_hot, axis=axes) + ops.sum(probabilities, axis=axes)
    dice = _mean(1.0 - (2.0 * shared + EPSILON) / (sizes + EPSILON), weights)
    return dice + cross_entropy(y_true, y_pred, weights)


def _prepare(y_true: keras.KerasTensor,
             y_pred: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor, tuple[int, ...]]:
    """Return the one-hot truth and the probabilities in float32, and the spatial axes."""
    y_pred = ops.cast(y_pred, "float32")
    one_hot = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype="float32")
    return one_hot, y_pred, tuple(range(1, len(y_pred.shape) - 1))


def marginal_l2_dice(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                     ) -> keras.KerasTensor:
    """`l2_dice` where not everything was annotated.

    Args:
        y_true: Target with channels, (batch, x, y[, z], classes).
        y_pred: Probabilities, (batch, x, y[, z], classes).
        weights: Weights of the classes.
    """
    true, merged, kept, axes = _merged(y_true, y_pred)
    distance = ops.sum(ops.square(true - merged), axis=axes)
    norms = ops.sum(ops.square(true), axis=axes) + ops.sum(ops.square(merged), axis=axes)
    return _over_kept(distance / (norms + EPSILON), _weighted(kept, weights))


def marginal_cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                           ) -> keras.KerasTensor:
    """`cross_entropy` where not everything was annotated: the mean over annotated voxels, then over the batch."""
    possible, y_pred, axes = _possible(y_true), ops.cast(y_pred, "float32"), tuple(range(1, len(y_pred.shape) - 1))
    known = 1.0 - ops.min(possible, axis=-1)
    said = ops.maximum(ops.sum(possible * y_pred, axis=-1), SMALLEST_PROBABILITY)
    if weights is not None:  # of the background, if it is possible: all others are then one with it
        known = known * ops.take(ops.convert_to_tensor(weights, "float32"), ops.argmax(possible, axis=-1))
    total = ops.sum(known, axis=axes)
    return -ops.mean(ops.sum(known * ops.log(said), axis=axes) / ops.where(total > 0, total, 1.0))


def marginal_dice_cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                                ) -> keras.KerasTensor:
    """`dice_cross_entropy` where not everything was annotated."""
    true, merged, kept, axes = _merged(y_true, y_pred)
    shared = ops.sum(true * merged, axis=axes)
    sizes = ops.sum(true, axis=axes) + ops.sum(merged, axis=axes)
    dice = _over_kept(1.0 - (2.0 * shared + EPSILON) / (sizes + EPSILON), _weighted(kept, weights))
    return dice + marginal_cross_entropy(y_true, y_pred, weights)


def _possible(y_true: keras.KerasTensor) -> keras.KerasTensor:
    """Return 1 where a voxel may belong to a class, else 0, (batch, …, classes) float32."""
    return ops.cast(ops.bitwise_and(ops.cast(y_true, "int32"), POSSIBLE), "float32")


def _merged(y_true: keras.KerasTensor, y_pred: keras.KerasTensor
            ) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor, tuple[int, ...]]:
    """Merge the labels that were not annotated with the background, and leave out voxels that nobody annotated.

    Returns:
        Truth and probabilities, (batch, …, classes) float32, zero in merged channels and at voxels left out; which
        channels are kept, (batch, classes); the spatial axes.
    """
    y_pred, possible = ops.cast(y_pred, "float32"), _possible(y_true)
    axes = tuple(range(1, len(y_pred.shape) - 1))
    merged = ops.max(ops.bitwise_and(ops.cast(y_true, "int32"), MERGED), axis=axes, keepdims=True) // MERGED
    kept = 1.0 - ops.cast(merged, "float32")
    background = ops.one_hot(0, y_pred.shape[-1], dtype="float32")
    known = 1.0 - ops.min(possible, axis=-1, keepdims=True)
    joined = y_pred * kept + ops.sum(y_pred * (1.0 - kept), axis=-1, keepdims=True) * background
    return possible * kept * known, joined * known, ops.max(kept, axis=axes), axes


def _over_kept(losses: keras.KerasTensor, kept: keras.KerasTensor) -> keras.KerasTensor:
    """Return the mean of losses over channels weighted by `kept`, then over the batch; both are (batch, classes)."""
    total = ops.sum(kept, axis=-1)
    return ops.mean(ops.sum(losses * kept, axis=-1) / ops.where(total > 0, total, 1.0))


def _weighted(kept: keras.KerasTensor, weights: Weights) -> keras.KerasTensor:
    """Return `kept` times the weights of the last axis."""
    return kept if weights is None else kept * ops.convert_to_tensor(weights, "float32")


def _mean(losses: keras.KerasTensor, weights: Weights) -> keras.KerasTensor:
    """Return the mean of losses (batch, classes), with weights per class if there are any."""
    return ops.mean(losses) if weights is None else _over_kept(losses, _weighted(ops.ones_like(losses), weights))


def region_l2_dice(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                   ) -> keras.KerasTensor:
    """`l2_dice` of labels that overlap: the mean over the regions, then over the batch.

    Args:
        y_true: Target with channels, (batch, x, y[, z], regions).
        y_pred: Probabilities of the regions, (batch, x, y[, z], regions).
        weights: Weights of the classes.
    """
    true, found, known, axes = _regions(y_true, y_pred)
    distance = ops.sum(ops.square(true - found), axis=axes)
    norms = ops.sum(ops.square(true), axis=axes) + ops.sum(ops.square(found), axis=axes)
    return _over_kept(distance / (norms + EPSILON), _weighted(ops.max(known, axis=axes), weights))


def region_cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                         ) -> keras.KerasTensor:
    """Binary cross-entropy of labels that overlap: the mean over what is known of a sample, then over the batch."""
    true, found, known, axes = _regions(y_true, y_pred)
    inside = true * ops.log(ops.maximum(found, SMALLEST_PROBABILITY))
    outside = (known - true) * ops.log(ops.maximum(1.0 - found, SMALLEST_PROBABILITY))
    axes = (*axes, len(y_pred.shape) - 1)
    total = ops.sum(_weighted(known, weights), axis=axes)
    return -ops.mean(ops.sum(_weighted(inside + outside, weights), axis=axes) / ops.where(total > 0, total, 1.0))


def region_dice_cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                              ) -> keras.KerasTensor:
    """Soft Dice loss plus binary cross-entropy of labels that overlap (nnU-Net's region-based training)."""
    true, found, known, axes = _regions(y_true, y_pred)
    sizes = ops.sum(true, axis=axes) + ops.sum(found, axis=axes)
    dice = 1.0 - (2.0 * ops.sum(true * found, axis=axes) + EPSILON) / (sizes + EPSILON)
    kept = _weighted(ops.max(known, axis=axes), weights)
    return _over_kept(dice, kept) + region_cross_entropy(y_true, y_pred, weights)


def _regions(y_true: keras.KerasTensor, y_pred: keras.KerasTensor
             ) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor, tuple[int, ...]]:
    """Return truth, probabilities and what is known, (batch, …, regions) float32; the first two are 0 if unknown."""
    target = ops.cast(y_true, "int32")
    known = 1.0 - ops.cast(ops.bitwise_and(target, UNKNOWN) // UNKNOWN, "float32")
    true = ops.cast(ops.bitwise_and(target, INSIDE), "float32") * known
    return true, ops.cast(y_pred, "float32") * known, known, tuple(range(1, len(y_pred.shape) - 1))


def of_plan(plan: Plan) -> Callable[..., Any]:
    """Return the loss of a plan: a function of truth and probabilities, with the plan's weights of labels."""
    forms = REGION if overlapping(plan.labels) else MARGINAL if plan.annotation else LOSSES
    function, given = forms[plan.training.loss], plan.training.label_weights
    if given is None:
        return function
    names = [label.name for label in plan.labels]
    first = [BACKGROUND] * (plan.network.classes - len(names))
    weights = [float(given.get(name, 1)) for name in (*first, *names)]

    def weighted(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        return function(y_true, y_pred, weights)

    return weighted


LOSSES: dict[str, Callable[..., Any]] = {
    "l2_dice": l2_dice, "dice_cross_entropy": dice_cross_entropy, "cross_entropy": cross_entropy}
MARGINAL: dict[str, Callable[..., Any]] = {
    "l2_dice": marginal_l2_dice, "dice_cross_entropy": marginal_dice_cross_entropy,
    "cross_entropy": marginal_cross_entropy}
"""Their forms where not everything was annotated."""
REGION: dict[str, Callable[..., Any]] = {
    "l2_dice": region_l2_dice, "dice_cross_entropy": region_dice_cross_entropy, "cross_entropy": region_cross_entropy}
"""Their forms for labels that overlap."""
