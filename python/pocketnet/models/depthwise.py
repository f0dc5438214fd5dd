"""A 3D depthwise convolution, which Keras and TensorFlow's CPU kernels lack."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("pocketnet")
class DepthwiseConv3D(layers.Layer):
    """Convolve each feature map with its own kernel: "same" padding, stride 1, no bias.

    The layer adds shifted copies of its input, each scaled per feature map. It trains on every backend.

    Args:
        kernel_size: Voxels a side, odd; one number, or one per axis.

    Input shape: (batch, x, y, z, feature maps). Output shape: the same.

    Raises:
        ValueError: The kernel size is not an odd integer of at least 1 (or three of them), or the input has not five
            axes.
    """

    def __init__(self, kernel_size: int | Sequence[int] = 3, **options: Any):
        super().__init__(**options)
        sides = tuple(kernel_size) if isinstance(kernel_size, list | tuple) else (kernel_size,) * 3
        if len(sides) != 3 or any(type(side) is not int or side < 1 or side % 2 == 0 for side in sides):
            raise ValueError("The argument `kernel_size` must be an odd integer of at least 1, so that a kernel has a "
                             f"voxel in its middle. Received: kernel_size={kernel_size!r}")
        self.kernel_size = sides
        self.input_spec = layers.InputSpec(ndim=5)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernel, for an input of five axes."""
        self.kernel = self.add_weight(
            shape=(*self.kernel_size, input_shape[-1]), name="kernel",
            initializer=keras.initializers.VarianceScaling(1.0, "fan_avg", "uniform"))

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Convolve (batch, x, y, z, feature maps); the shape stays."""
        padded = ops.pad(inputs, [(0, 0), *((side // 2, side // 2) for side in self.kernel_size), (0, 0)])
        size = ops.shape(inputs)
        total = 0.0
        for i, j, k in itertools.product(*map(range, self.kernel_size)):
            part = padded[:, i:i + size[1], j:j + size[2], k:k + size[3]]
            total = total + part * self.kernel[i, j, k]
        return total

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Keras' configuration and the kernel size."""
        alike = len(set(self.kernel_size)) == 1
        return {**super().get_config(), "kernel_size": self.kernel_size[0] if alike else list(self.kernel_size)}
