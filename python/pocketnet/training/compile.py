"""A network made ready to train: loss, optimiser, loss scaling. The training and its profile do the same."""

from __future__ import annotations

import keras

from .. import backend
from .losses import LOSSES


def compile_for_training(model: keras.Model, loss: str, learning_rate: float, clip_norm: float | None) -> None:
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
    """
    optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=clip_norm)
    if model.dtype_policy.compute_dtype == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer, loss=LOSSES[loss], auto_scale_loss=False,
                  jit_compile=backend.on_gpu() and backend.name() != "tensorflow")
    optimizer.build(model.trainable_variables)
