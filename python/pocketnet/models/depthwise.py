"""A 3D depthwise convolution, which Keras and TensorFlow's CPU kernels lack."""

from __future__ import annotations

import itertools
from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("pocketnet")
class DepthwiseConv3D(layers.Layer):
    """Convolve each feature map with its own kernel: "same" padding, stride 1, no bias.

    The layer adds shifted copies of its input, each scaled per feature map. It trains on every backend.

    Args:
        kernel_size: Voxels a side, odd.

    Input shape: (batch, x, y, z, feature maps). Output shape: the same.

    Raises:
        ValueError: The kernel size is not an odd integer of at least 1, or the input has not five axes.
    """

    def __init__(self, kernel_size: int = 3, **options: Any):
        super().__init__(**options)
        if type(kernel_size) is not int or kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError("The argument `kernel_size` must be an odd integer of at least 1, so that a kernel has a "
                             f"voxel in its middle. Received: kernel_size={kernel_size!r}")
        self.kernel_size = kernel_size
        self.input_spec = layers.InputSpec(ndim=5)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernel, for an input of five axes."""
        self.kernel = self.add_weight(
            shape=(*(self.kernel_size,) * 3, input_shape[-1]), name="kernel",
            initializer=keras.initializers.VarianceScaling(1.0, "fan_avg", "uniform"))

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Convolve (batch, x, y, z, feature maps); the shape stays."""
        reach = self.kernel_size // 2
        padded = ops.pad(inputs, [(0, 0), *[(reach, reach)] * 3, (0, 0)])
        size = ops.shape(inputs)
        total = 0.0
        for i, j, k in itertools.product(range(self.kernel_size), repeat=3):
            part = padded[:, i:i + size[1], j:j + size[2], k:k + size[3]]
            total = total + part * self.kernel[i, j, k]
        return total

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Keras' configuration and the kernel size."""
        return {**super().get_config(), "kernel_size": self.kernel_size}
