"""Prepare a network for training: loss, optimiser, loss scaling. Training and profiling share this code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from .. import backend
from ..models.fused import fused
from ..models.rematerialise import rematerialised
from .losses import LOSSES
from .supervision import over_levels


def compile_for_training(model: keras.Model, loss: str | Callable[..., Any], learning_rate: float,
                         clip_norm: float | None, average_decay: float | None = None, accumulate: int = 1,
                         weight_decay: float | None = None, levels: int = 1) -> None:
    """Compile a network and create the optimiser's variables.

    In float16, small gradients would underflow to zero. Keras therefore scales the loss up before the backward pass
    and the gradients down after it. It halves the factor and skips the step if a gradient is not finite, and doubles
    the factor after 2,000 finite steps. Clipping applies to the unscaled gradients. bfloat16 has the range of float32
    and needs no scaling. The factor is a variable of the optimiser, so every checkpoint contains it.

    Args:
        model: A network built in its compute precision (`backend.set_precision`).
        loss: A key of `LOSSES`, or a function of truth and probabilities.
        learning_rate: Initial learning rate; a schedule may change it.
        clip_norm: Maximum global gradient norm; None for no clipping.
        average_decay: Decay of the moving average of the weights (see `averaged`); None for no average.
        accumulate: Batches per optimiser step; their gradients are averaged.
        weight_decay: Decay of AdamW, applied to kernels but not to biases or normalisation parameters. None for Adam.
        levels: Number of levels concatenated in the network's output, see `supervision`.
    """
    kind = keras.optimizers.Adam if weight_decay is None else keras.optimizers.AdamW
    optimizer = kind(learning_rate, weight_decay=weight_decay, global_clipnorm=clip_norm,
                     use_ema=average_decay is not None, ema_momentum=average_decay or 0.99,
                     gradient_accumulation_steps=accumulate if accumulate > 1 else None)
    if weight_decay is not None:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "alpha"])
    if model.dtype_policy.compute_dtype == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    one_level = LOSSES[loss] if isinstance(loss, str) else loss
    function = one_level if levels == 1 else over_levels(one_level, levels)
    model.compile(optimizer=optimizer, loss=function, auto_scale_loss=False,
                  jit_compile=backend.on_gpu() and backend.name() != "tensorflow")
    optimizer.build(model.trainable_variables)


def stepping(model: keras.Model, rematerialise: bool, devices: int = 1) -> keras.Model:
    """Return the model to call for training steps, with the variables and the optimiser of `model`.

    It is the rematerialised form, or on a CPU the fused form with the same results, or else `model` itself.

    Args:
        model: A compiled network.
        rematerialise: Whether to save memory instead of time.
        devices: Number of devices that share each batch. Several train `model` itself.
    """
    if rematerialise:
        return alike(rematerialised(model), model)
    if devices == 1 and backend.fuses_training():
        return alike(fused(model, sliced=not backend.has_avx512()), model)
    return model


def alike(other: keras.Model, model: keras.Model) -> keras.Model:
    """Compile `other` with `model`'s loss and shared optimiser."""
    other.compile(optimizer=model.optimizer, loss=model.loss, auto_scale_loss=False, jit_compile=model.jit_compile)
    return other


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Use the moving averages as trainable variables within the block, if the optimiser keeps them."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        yield
        return
    own = [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)
