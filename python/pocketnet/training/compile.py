"""A network made ready to train: loss, optimiser, loss scaling. The training and its profile do the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from .. import backend
from ..models.rematerialise import rematerialised
from .losses import LOSSES
from .supervision import over_levels


def compile_for_training(model: keras.Model, loss: str, learning_rate: float, clip_norm: float | None,
                         average_decay: float | None = None, accumulate: int = 1,
                         weight_decay: float | None = None, levels: int = 1) -> None:
    """Compile a network and make its optimiser's variables.

    In float16 small gradients would become zero, so there the loss is scaled up before the backward pass and the
    gradients down after it, by a factor that Keras halves when a gradient is not finite (that step changes
    nothing) and doubles after 2,000 steps without one. Clipping sees the gradients after scaling down.
    bfloat16 has float32's range and needs none. The factor is one of the optimiser's variables and so part of
    every checkpoint.

    Args:
        model: Built in the precision that it is to compute in (`backend.set_precision`).
        loss: A key of `LOSSES`.
        learning_rate: The optimiser's first learning rate; a schedule may change it.
        clip_norm: Global gradient norm at most this; None for no clipping.
        average_decay: Keep a moving average of the weights with this decay (`averaged`); None for none.
        accumulate: The optimiser steps after every so many batches, by the mean of their gradients.
        weight_decay: AdamW with this decay of kernels; biases and what normalisations learn are spared. None for Adam.
        levels: How many outputs lie behind each other in the network's, see `supervision`.
    """
    kind = keras.optimizers.Adam if weight_decay is None else keras.optimizers.AdamW
    optimizer = kind(learning_rate, weight_decay=weight_decay, global_clipnorm=clip_norm,
                     use_ema=average_decay is not None, ema_momentum=average_decay or 0.99,
                     gradient_accumulation_steps=accumulate if accumulate > 1 else None)
    if weight_decay is not None:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "alpha"])
    if model.dtype_policy.compute_dtype == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    function = LOSSES[loss] if levels == 1 else over_levels(LOSSES[loss], levels)
    model.compile(optimizer=optimizer, loss=function, auto_scale_loss=False,
                  jit_compile=backend.on_gpu() and backend.name() != "tensorflow")
    optimizer.build(model.trainable_variables)


def stepping(model: keras.Model, rematerialise: bool) -> keras.Model:
    """What is to train a compiled network on batches: itself, or with the same variables and optimiser its
    rematerialised form."""
    return alike(rematerialised(model), model) if rematerialise else model


def alike(other: keras.Model, model: keras.Model) -> keras.Model:
    """Another network, compiled as a compiled one is and with the same optimiser."""
    other.compile(optimizer=model.optimizer, loss=model.loss, auto_scale_loss=False, jit_compile=model.jit_compile)
    return other


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Within it the trainable variables are their moving averages, where the optimiser keeps such."""
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
