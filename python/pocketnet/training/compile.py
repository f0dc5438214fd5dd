"""A network made ready to train: loss, optimiser, loss scaling. The training and its profile do the same."""

from __future__ import annotations

from contextlib import contextmanager

import keras
import numpy as np

from .. import backend
from ..models.rematerialise import rematerialised
from .losses import LOSSES


def compile_for_training(model: keras.Model, loss: str, learning_rate: float, clip_norm: float | None,
                         average_decay: float | None = None, accumulate: int = 1) -> None:
    """Compile a network and make its optimiser's variables.

    In float16 small gradients would become zero, so there the loss is scaled up before the backward pass and the
    gradients down after it, by a factor that Keras halves when a gradient is not finite (that step changes
    nothing) and doubles after 2,000 steps without one. Clipping sees the gradients after scaling down.
    bfloat16 has float32's range and needs none. The factor is one of the optimiser's variables and so part of
    every checkpoint.

    Args:
        model: Built in the precision that it is to compute in (`backend.set_precision`).
        loss: A key of `LOSSES`.
        clip_norm: Global gradient norm at most this; None for no clipping.
        accumulate: The optimiser steps after every so many batches, by the mean of their gradients.
        average_decay: Keep a moving average of the weights with this decay (`averaged`); None for none.
    """
    optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=clip_norm, use_ema=average_decay is not None,
                                      ema_momentum=average_decay or 0.99,
                                      gradient_accumulation_steps=accumulate if accumulate > 1 else None)
    if model.dtype_policy.compute_dtype == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer, loss=LOSSES[loss], auto_scale_loss=False,
                  jit_compile=backend.on_gpu() and backend.name() != "tensorflow")
    optimizer.build(model.trainable_variables)


def stepping(model: keras.Model, rematerialise: bool) -> keras.Model:
    """What is to train a compiled network on batches: itself, or with the same variables and optimiser its
    rematerialised form."""
    if not rematerialise:
        return model
    stepper = rematerialised(model)
    stepper.compile(optimizer=model.optimizer, loss=model.loss, auto_scale_loss=False, jit_compile=model.jit_compile)
    return stepper


@contextmanager
def averaged(model: keras.Model):
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
