"""Deep supervision: in training, coarser decoder levels predict too and are compared with the same labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from ..errors import UsageError
from ..models.blocks import probabilities
from ..models.network import SIGMOID, SOFTMAX


def supervised(model: keras.Model) -> keras.Model:
    """Add an output head at each coarser level of the decoder.

    A head is a convolution with kernel 1 and a softmax (of regions: a sigmoid), upsampled by repetition to the finest
    level. The returned network shares layers and variables with `model`, which stays unchanged; the exported model has
    no heads.

    Args:
        model: A functional encoder-decoder with at least two downsamplings.

    Returns:
        A network from the same input to probabilities (batch, *patch, levels · classes), finest level first.

    Raises:
        UsageError: The network has fewer than two decoder levels.
    """
    depths = sorted(int(found.group(1)) for layer in model.layers if (found := re.fullmatch(r"up(\d+)", layer.name)))
    if len(depths) < 2:
        raise UsageError("Deep supervision needs an encoder-decoder of at least two downsamplings.",
                         todo="Set training.deep_supervision to false, or train another architecture.")
    outputs = [model.output]
    head = SIGMOID if isinstance(model.get_layer("probabilities"), layers.Activation) else SOFTMAX
    factors = (1,) * (len(model.output.shape) - 2)
    for depth in depths[:-1]:  # the deepest one's input is the bottleneck
        upsampling = model.get_layer(f"up{depth}")
        factors = tuple(f * g for f, g in zip(factors, upsampling.strides, strict=True))
        outputs.append(_head(upsampling.input, model.output.shape[-1], head, factors, depth + 1))
    joined = layers.Concatenate(dtype="float32", name="levels")(outputs)
    return keras.Model(model.input, joined, name=f"{model.name}_supervised")


def _head(x: keras.KerasTensor, classes: int, head: str, factors: tuple[int, ...], depth: int) -> keras.KerasTensor:
    convolution, repeat = ((layers.Conv2D, layers.UpSampling2D) if len(factors) == 2 else
                           (layers.Conv3D, layers.UpSampling3D))
    x = convolution(classes, 1, name=f"logits_at{depth}")(x)
    x = probabilities(x, head, f"probabilities_at{depth}")
    return repeat(factors, dtype="float32", name=f"repeat_at{depth}")(x)


def over_levels(loss: Callable[..., Any], levels: int) -> Callable[..., Any]:
    """Return the weighted mean of a loss over the levels of `supervised`; each weighs half as much as the finer one."""
    weights = [0.5**level / (2 - 0.5 ** (levels - 1)) for level in range(levels)]

    def weighted(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        parts = ops.split(y_pred, levels, axis=-1)
        return sum(weight * loss(y_true, part) for weight, part in zip(weights, parts, strict=True))

    return weighted
