"""Losses as functions of class indices and probabilities, always computed in float32.

A loss is a sum of terms with weight 1 each (`PARTS`): terms that compare whole channels (`loss_terms`), and the
cross-entropy of the voxels. It is averaged over channels, then over the batch.

Each has a marginal form for incomplete annotation, which takes targets with channels (`targets`). It leaves out
unannotated voxels. If some labels of a case are not annotated, it merges them with the background by adding their
probabilities. The Dice term then has no separate channels for them, and the cross-entropy of a voxel is -log of the sum
of the probabilities of its possible classes.

Source of the marginal forms: Shi et al., Medical Image Analysis 70, 101979 (2021), Section 3 (marginal loss). The
target adaptive loss of Fang and Yan, IEEE TMI 39(11), 3619 (2020), merges labels in the same way.

For overlapping labels (regions), each has a form that compares every region with its own sigmoid output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from keras import ops

from ..contracts.labels import BACKGROUND, overlapping
from . import loss_terms
from .targets import INSIDE, MERGED, POSSIBLE, UNKNOWN

if TYPE_CHECKING:
    import keras

    from ..contracts.plan import Plan

Weights = Sequence[float] | None
"""Weight of each class, relative to their sum. It applies to the channels of the terms, and to the voxels of the
cross-entropy by their true class (of regions: to the channels). None: all weights are equal."""
SMALLEST_PROBABILITY = 1e-7


class Parts(NamedTuple):
    """Terms of a loss.

    Attributes:
        channel: Functions of `loss_terms.Compared`, whose losses per channel are added.
        entropy: Whether the cross-entropy is added.
    """

    channel: tuple[Callable[[loss_terms.Compared], keras.KerasTensor], ...]
    entropy: bool = False


PARTS = {
    "l2_dice": Parts((loss_terms.l2_dice,)),
    "dice_cross_entropy": Parts((loss_terms.dice,), entropy=True),
    "cross_entropy": Parts((), entropy=True),
    "tversky": Parts((loss_terms.tversky,)),
    "focal_tversky": Parts((loss_terms.focal_tversky,)),
    "tversky_cross_entropy": Parts((loss_terms.tversky,), entropy=True),
    "dice_cross_entropy_boundary": Parts((loss_terms.dice, loss_terms.boundary), entropy=True),
}
"""Terms of each loss. `l2_dice` is the paper's (Eq. 4), `dice_cross_entropy` nnU-Net's."""


def l2_dice(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
            ) -> keras.KerasTensor:
    """The paper's loss, the L2 relaxation of Dice (Eq. 4), background included.

    Args:
        y_true: Class indices, (batch, x, y[, z]), integer.
        y_pred: Probabilities, (batch, x, y[, z], classes).
        weights: Weights of the classes.

    Returns:
        A scalar in [0, 1].
    """
    return _sum(PARTS["l2_dice"], EXCLUSIVE, y_true, y_pred, weights)


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
    true, y_pred = _one_hot(y_true, y_pred)
    entropy = ops.sum(true * ops.log(ops.maximum(y_pred, SMALLEST_PROBABILITY)), axis=-1)
    if weights is None:
        return -ops.mean(entropy)
    weight = ops.sum(true * ops.convert_to_tensor(weights, "float32"), axis=-1)
    return -ops.sum(weight * entropy) / ops.sum(weight)


def marginal_cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                           ) -> keras.KerasTensor:
    """`cross_entropy` for incomplete annotation: the mean over annotated voxels, then over the batch."""
    possible, y_pred, axes = _possible(y_true), ops.cast(y_pred, "float32"), tuple(range(1, len(y_pred.shape) - 1))
    known = 1.0 - ops.min(possible, axis=-1)
    said = ops.maximum(ops.sum(possible * y_pred, axis=-1), SMALLEST_PROBABILITY)
    if weights is not None:  # that of the background where it is possible: the others are merged with it
        known = known * ops.take(ops.convert_to_tensor(weights, "float32"), ops.argmax(possible, axis=-1))
    total = ops.sum(known, axis=axes)
    return -ops.mean(ops.sum(known * ops.log(said), axis=axes) / ops.where(total > 0, total, 1.0))


def region_cross_entropy(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None
                         ) -> keras.KerasTensor:
    """Binary cross-entropy for overlapping labels: the mean over the known values of a sample, then over the batch."""
    true, found, known = _regions(y_true, y_pred)
    inside = true * ops.log(ops.maximum(found, SMALLEST_PROBABILITY))
    outside = (known - true) * ops.log(ops.maximum(1.0 - found, SMALLEST_PROBABILITY))
    axes = tuple(range(1, len(y_pred.shape)))
    total = ops.sum(_weighted(known, weights), axis=axes)
    return -ops.mean(ops.sum(_weighted(inside + outside, weights), axis=axes) / ops.where(total > 0, total, 1.0))


def compare_classes(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> loss_terms.Compared:
    """Return the channels of class indices and of probabilities; every channel counts.

    Args:
        y_true: Class indices, (batch, x, y[, z]), integer.
        y_pred: Probabilities, (batch, x, y[, z], classes).
    """
    true, found = _one_hot(y_true, y_pred)
    return loss_terms.Compared(true, found, None)


def compare_annotated(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> loss_terms.Compared:
    """Merge unannotated labels with the background, and leave out unannotated voxels.

    Args:
        y_true: Target with channels, (batch, x, y[, z], classes).
        y_pred: Probabilities, (batch, x, y[, z], classes).

    Returns:
        Channels that are zero at omitted voxels, and everywhere if they are merged; merged channels do not count.
    """
    y_pred, possible = ops.cast(y_pred, "float32"), _possible(y_true)
    axes = tuple(range(1, len(y_pred.shape) - 1))
    merged = ops.max(ops.bitwise_and(ops.cast(y_true, "int32"), MERGED), axis=axes, keepdims=True) // MERGED
    kept = 1.0 - ops.cast(merged, "float32")
    background = ops.one_hot(0, y_pred.shape[-1], dtype="float32")
    known = 1.0 - ops.min(possible, axis=-1, keepdims=True)
    joined = y_pred * kept + ops.sum(y_pred * (1.0 - kept), axis=-1, keepdims=True) * background
    return loss_terms.Compared(possible * kept * known, joined * known, ops.max(kept, axis=axes))


def compare_regions(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> loss_terms.Compared:
    """Return the channels of overlapping labels; regions that are not annotated in a sample do not count.

    Args:
        y_true: Target with channels, (batch, x, y[, z], regions).
        y_pred: Probabilities of the regions, (batch, x, y[, z], regions).
    """
    true, found, known = _regions(y_true, y_pred)
    return loss_terms.Compared(true, found, ops.max(known, axis=tuple(range(1, len(y_pred.shape) - 1))))


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


def _one_hot(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the one-hot truth and the probabilities in float32."""
    y_pred = ops.cast(y_pred, "float32")
    return ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype="float32"), y_pred


def _possible(y_true: keras.KerasTensor) -> keras.KerasTensor:
    """Return 1 where a voxel may belong to a class, else 0, (batch, …, classes) float32."""
    return ops.cast(ops.bitwise_and(ops.cast(y_true, "int32"), POSSIBLE), "float32")


def _regions(y_true: keras.KerasTensor, y_pred: keras.KerasTensor
             ) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Return truth, probabilities and a mask of known values, (batch, …, regions) float32; 0 where unknown."""
    target = ops.cast(y_true, "int32")
    known = 1.0 - ops.cast(ops.bitwise_and(target, UNKNOWN) // UNKNOWN, "float32")
    true = ops.cast(ops.bitwise_and(target, INSIDE), "float32") * known
    return true, ops.cast(y_pred, "float32") * known, known


def _weighted(kept: keras.KerasTensor, weights: Weights) -> keras.KerasTensor:
    """Return `kept` times the weights of the last axis."""
    return kept if weights is None else kept * ops.convert_to_tensor(weights, "float32")


def _mean(losses: keras.KerasTensor, kept: keras.KerasTensor | None, weights: Weights) -> keras.KerasTensor:
    """Return the mean of losses over the channels that count, by their weights, then over the batch.

    Args:
        losses: (batch, channels).
        kept: 1 for a channel that counts, else 0, (batch, channels); None if all count.
        weights: Weights of the channels.
    """
    if kept is None and weights is None:
        return ops.mean(losses)
    share = _weighted(ops.ones_like(losses) if kept is None else kept, weights)
    total = ops.sum(share, axis=-1)
    return ops.mean(ops.sum(losses * share, axis=-1) / ops.where(total > 0, total, 1.0))


class Form(NamedTuple):
    """A way to compare truth and prediction.

    Attributes:
        compare: Returns the channels for the terms that compare whole channels.
        entropy: The cross-entropy.
    """

    compare: Callable[[Any, Any], loss_terms.Compared]
    entropy: Callable[[Any, Any, Weights], Any]


def _sum(parts: Parts, form: Form, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights
         ) -> keras.KerasTensor:
    """Return the sum of the terms of a loss."""
    terms = []
    if parts.channel:
        compared = form.compare(y_true, y_pred)
        terms += [_mean(term(compared), compared.kept, weights) for term in parts.channel]
    if parts.entropy:
        terms.append(form.entropy(y_true, y_pred, weights))
    return sum(terms[1:], terms[0])


def _losses(form: Form) -> dict[str, Callable[..., Any]]:
    """Return every loss by name in one form, as a function of truth, probabilities and weights."""
    def loss(parts: Parts) -> Callable[..., Any]:
        def summed(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, weights: Weights = None) -> keras.KerasTensor:
            return _sum(parts, form, y_true, y_pred, weights)
        return summed

    return {name: loss(parts) for name, parts in PARTS.items()}


EXCLUSIVE = Form(compare_classes, cross_entropy)
LOSSES = _losses(EXCLUSIVE)
MARGINAL = _losses(Form(compare_annotated, marginal_cross_entropy))
"""Their forms for incomplete annotation."""
REGION = _losses(Form(compare_regions, region_cross_entropy))
"""Their forms for overlapping labels."""
