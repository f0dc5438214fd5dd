"""Deep supervision: while training, the decoder's coarser levels predict, too, and are held against the same labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from ..errors import UsageError


def supervised(model: keras.Model) -> keras.Model:
    """A network with the same layers and variables, and a head at each of the decoder's coarser levels.

    A head is a convolution of kernel 1 and a softmax, repeated to the finest level's voxels. The network itself stays
    as it is; the heads are left out of what is shipped.

    Args:
        model: An encoder-decoder, functional, of at least two downsamplings.

    Returns:
        From the same input to probabilities (batch, *patch, levels · classes), the finest level's first.

    Raises:
        UsageError: The network has no such levels.
    """
    depths = sorted(int(found.group(1)) for layer in model.layers if (found := re.fullmatch(r"up(\d+)", layer.name)))
    if len(depths) < 2:
        raise UsageError("Deep supervision needs an encoder-decoder of at least two downsamplings.",
                         todo="Set training.deep_supervision to false, or train another architecture.")
    outputs = [model.output]
    factors = (1,) * (len(model.output.shape) - 2)
    for depth in depths[:-1]:  # the deepest one's input is the bottleneck
        upsampling = model.get_layer(f"up{depth}")
        factors = tuple(f * g for f, g in zip(factors, upsampling.strides, strict=True))
        outputs.append(_head(upsampling.input, model.output.shape[-1], factors, depth + 1))
    joined = layers.Concatenate(dtype="float32", name="levels")(outputs)
    return keras.Model(model.input, joined, name=f"{model.name}_supervised")


def _head(x: keras.KerasTensor, classes: int, factors: tuple[int, ...], depth: int) -> keras.KerasTensor:
    convolution, repeat = ((layers.Conv2D, layers.UpSampling2D) if len(factors) == 2 else
                           (layers.Conv3D, layers.UpSampling3D))
    x = convolution(classes, 1, name=f"logits_at{depth}")(x)
    x = layers.Softmax(dtype="float32", name=f"probabilities_at{depth}")(x)
    return repeat(factors, dtype="float32", name=f"repeat_at{depth}")(x)


def over_levels(loss: Callable[..., Any], levels: int) -> Callable[..., Any]:
    """The mean of a loss over the levels of `supervised`, each counting half as much as the next finer one."""
    weights = [0.5**level / (2 - 0.5 ** (levels - 1)) for level in range(levels)]

    def weighted(y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        parts = ops.split(y_pred, levels, axis=-1)
        return sum(weight * loss(y_true, part) for weight, part in zip(weights, parts, strict=True))

    return weighted
