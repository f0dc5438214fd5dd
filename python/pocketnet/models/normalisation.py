"""Normalisation layers that train fast on a CPU. Keras' own layers traverse memory a dozen times.

Training steps with TensorFlow use its fused batch normalisation, which needs one operation forward and one backward. It
accepts only 2D images, but the statistics do not depend on the order of the voxels, so volumes are reshaped to one row.
In all other cases the layers behave as Keras' own.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from .. import backend


def _fused(x: keras.KerasTensor, layer: layers.Layer, bias: keras.KerasTensor | None
           ) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Normalise each feature map by its mean and variance over all other axes, then scale and shift it.

    Args:
        x: (…, feature maps), float32 or 16 bits.
        layer: The layer that owns `gamma`, `beta` and `epsilon`.
        bias: A constant per feature map that the result does not depend on; its gradient is zero.

    Returns:
        The normalised tensor of the same shape, and each feature map's mean and unbiased variance in float32.
    """
    import tensorflow as tf

    scale, offset = (tf.cast(weight, tf.float32) for weight in (layer.gamma, layer.beta))
    if bias is not None:
        scale += 0.0 * tf.cast(bias, tf.float32)
    out = tf.raw_ops.FusedBatchNormV3(x=tf.reshape(x, (1, 1, -1, x.shape[-1])), scale=scale, offset=offset, mean=[],
                                      variance=[], epsilon=layer.epsilon, is_training=True)
    return tf.reshape(out.y, tf.shape(x)), out.batch_mean, out.batch_variance


def _with(x: keras.KerasTensor, bias: keras.KerasTensor | None) -> keras.KerasTensor:
    return x if bias is None else x + ops.cast(bias, x.dtype)


@keras.saving.register_keras_serializable("pocketnet")
class BatchNormalization(layers.BatchNormalization):
    """Keras' batch normalisation, with TensorFlow's fused operation for training; same variables and results.

    Input shape: (batch, x, y[, z], feature maps). Output shape: the same.
    """

    def call(self, inputs: keras.KerasTensor, training: bool | None = None, mask: keras.KerasTensor | None = None,
             bias: keras.KerasTensor | None = None) -> keras.KerasTensor:
        """Normalise (batch, x, y[, z], feature maps); the shape stays.

        `bias` (feature maps,) stands for a bias of `inputs` that is not added yet. The statistics of a batch remove it.
        """
        plain = self.axis in (-1, len(inputs.shape) - 1) and self.scale and self.center and mask is None
        if not (training and self.trainable and plain) or self.synchronized or backend.name() != "tensorflow":
            return super().call(_with(inputs, bias), training=training, mask=mask)
        out, mean, unbiased = _fused(inputs, self, bias)
        if bias is not None:
            mean += ops.cast(bias, "float32")
        count = ops.cast(ops.prod(ops.shape(inputs)[:-1]), "float32")
        for moving, of_batch in ((self.moving_mean, mean), (self.moving_variance, unbiased * (count - 1) / count)):
            moving.assign(moving * self.momentum + of_batch * (1 - self.momentum))
        return out


@keras.saving.register_keras_serializable("pocketnet")
class InstanceNormalization(layers.GroupNormalization):
    """Each sample's feature maps by their own mean and variance over space, then scaled and moved, as learned.

    In a training step with TensorFlow each sample goes through the fused batch normalisation: of a batch of one it is
    the same. Everywhere else it is written as mean, difference, square and mean again, which OpenVINO knows as one
    operation and Keras' groups are not.

    Args:
        groups, axis, center, scale: What Keras' groups have besides; only these values of them are instance
            normalisation over the last axis.
        options: Of `keras.layers.GroupNormalization`.

    Input shape: (batch, x, y[, z], feature maps). Output shape: the same.

    Raises:
        ValueError: One of the four has another value.
    """

    def __init__(self, groups: int = -1, axis: int = -1, center: bool = True, scale: bool = True,
                 **options: Any):
        for name, value, only in (("groups", groups, -1), ("axis", axis, -1), ("center", center, True),
                                  ("scale", scale, True)):
            if value != only:
                raise ValueError(f"Received an invalid value for argument `{name}`, expected {only}: each feature map "
                                 "is a group, scaled and moved. keras.layers.GroupNormalization has the others. "
                                 f"Received: {name}={value!r}")
        super().__init__(groups=groups, **options)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InstanceNormalization:
        """Make the layer of its saved configuration."""
        return super().from_config(config | {"groups": -1})  # a built layer's are its feature maps

    def call(self, inputs: keras.KerasTensor, training: bool | None = None, bias: keras.KerasTensor | None = None
             ) -> keras.KerasTensor:
        """Normalise (batch, x, y[, z], feature maps); the shape stays. `bias`: as in `BatchNormalization`."""
        if not training or inputs.shape[0] is None or backend.name() != "tensorflow":
            return self._plain(_with(inputs, bias))
        return ops.concatenate([_fused(sample, self, bias)[0] for sample in ops.split(inputs, inputs.shape[0])])

    def _plain(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        axes = tuple(range(1, len(inputs.shape) - 1))
        x = ops.cast(inputs, "float32")
        centred = x - ops.mean(x, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
        scale, offset = (ops.cast(weight, "float32") for weight in (self.gamma, self.beta))
        return ops.cast(centred / ops.sqrt(variance + self.epsilon) * scale + offset, self.compute_dtype)
