"""The blocks that the encoder-decoder runs at each resolution.

A backbone consists of one function `block(x, feature_maps, options, name)` and one entry in `architectures.json`. The
entry names the block and its downsampling, `downsample(x, feature_maps, factors, options, name)`.
`docs/architectures.md` defines the backbones that reproduce the paper's published parameter counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras import layers

from .depthwise import DepthwiseConv3D
from .network import SIGMOID
from .normalisation import BatchNormalization, InstanceNormalization

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class BlockOptions:
    """Options of a block besides its number of feature maps.

    Attributes:
        dimensions: 2 or 3 spatial dimensions.
        norm: `batch` (the paper's), `instance` or `none`.
        convolution: `standard`, or `separable`: depthwise without bias, then pointwise (paper, Discussion).
        activation: `relu` (the paper's) or `leaky_relu` with slope 0.01 (nnU-Net's). Blocks with PReLU ignore it.
        kernel: Voxels per axis of each convolution's kernel; see `Network.kernel`.
    """

    dimensions: int = 3
    norm: str = "batch"
    convolution: str = "standard"
    activation: str = "relu"
    kernel: tuple[int, ...] = (3, 3, 3)


def convolution(x: keras.KerasTensor, feature_maps: int, options: BlockOptions, name: str) -> keras.KerasTensor:
    """Apply a convolution with the options' kernel, "same" padding and bias, standard or depthwise-separable."""
    if options.convolution == "separable":
        depthwise = (layers.DepthwiseConv2D(options.kernel, padding="same", use_bias=False, name=f"{name}_depthwise")
                     if options.dimensions == 2 else DepthwiseConv3D(options.kernel, name=f"{name}_depthwise"))
        return pointwise(depthwise(x), feature_maps, options, name)
    layer = layers.Conv2D if options.dimensions == 2 else layers.Conv3D
    return layer(feature_maps, options.kernel, padding="same", name=name)(x)


def pointwise(x: keras.KerasTensor, feature_maps: int, options: BlockOptions, name: str) -> keras.KerasTensor:
    """Apply a convolution with kernel 1 and bias, which mixes feature maps within each voxel."""
    layer = layers.Conv2D if options.dimensions == 2 else layers.Conv3D
    return layer(feature_maps, 1, name=name)(x)


def normalisation(x: keras.KerasTensor, options: BlockOptions, name: str) -> keras.KerasTensor:
    """Apply batch normalisation with Keras' defaults, instance normalisation, or nothing."""
    if options.norm == "batch":
        return BatchNormalization(name=name)(x)
    if options.norm == "instance":
        return InstanceNormalization(name=name)(x)
    return x


def activation(x: keras.KerasTensor, options: BlockOptions, name: str) -> keras.KerasTensor:
    """Apply the activation named in the options."""
    layer = layers.LeakyReLU(0.01, name=name) if options.activation == "leaky_relu" else layers.ReLU(name=name)
    return layer(x)


def unet_block(x: keras.KerasTensor, feature_maps: int, options: BlockOptions, name: str) -> keras.KerasTensor:
    """Apply two units of convolution, normalisation and activation (the paper's Algorithm 1 with two iterations)."""
    for i in (1, 2):
        x = convolution(x, feature_maps, options, f"{name}_conv{i}")
        x = normalisation(x, options, f"{name}_norm{i}")
        x = activation(x, options, f"{name}_relu{i}")
    return x


def prelu(x: keras.KerasTensor, options: BlockOptions, name: str) -> keras.KerasTensor:
    """Apply a parametric ReLU with one slope per feature map, shared over space."""
    return layers.PReLU(shared_axes=list(range(1, options.dimensions + 1)), name=name)(x)


def resnet_block(x: keras.KerasTensor, feature_maps: int, options: BlockOptions, name: str) -> keras.KerasTensor:
    """Apply two units of convolution, normalisation and PReLU, and add a shortcut, always a kernel-1 convolution."""
    shortcut = pointwise(x, feature_maps, options, f"{name}_shortcut")
    for i in (1, 2):
        x = convolution(x, feature_maps, options, f"{name}_conv{i}")
        x = normalisation(x, options, f"{name}_norm{i}")
        x = prelu(x, options, f"{name}_prelu{i}")
    return prelu(layers.Add(name=f"{name}_add")([x, shortcut]), options, f"{name}_prelu3")


def densenet_block(x: keras.KerasTensor, feature_maps: int, options: BlockOptions, name: str) -> keras.KerasTensor:
    """Apply two convolutions, each joined with its input (growth: `feature_maps`), then a kernel-1 convolution."""
    for i in (1, 2):
        y = convolution(x, feature_maps, options, f"{name}_conv{i}")
        y = prelu(normalisation(y, options, f"{name}_norm{i}"), options, f"{name}_prelu{i}")
        x = layers.Concatenate(name=f"{name}_join{i}")([x, y])
    x = pointwise(x, feature_maps, options, f"{name}_transition")
    return prelu(x, options, f"{name}_prelu3")


def probabilities(logits: keras.KerasTensor, head: str, name: str = "probabilities") -> keras.KerasTensor:
    """Apply the last layer, one of `network.HEADS`, in float32."""
    if head == SIGMOID:
        return layers.Activation("sigmoid", dtype="float32", name=name)(logits)
    return layers.Softmax(axis=-1, dtype="float32", name=name)(logits)


def strided_convolution(x: keras.KerasTensor, feature_maps: int, factors: tuple[int, ...], options: BlockOptions,
                        name: str) -> keras.KerasTensor:
    """Downsample with a convolution whose kernel and stride are `factors`, with bias and without normalisation."""
    layer = layers.Conv2D if options.dimensions == 2 else layers.Conv3D
    return layer(feature_maps, factors, strides=factors, padding="same", name=name)(x)


def max_pool(x: keras.KerasTensor, feature_maps: int, factors: tuple[int, ...], options: BlockOptions,
             name: str) -> keras.KerasTensor:
    """Downsample with max-pooling by `factors`. `feature_maps` is unused; only a strided convolution needs it."""
    layer = layers.MaxPooling2D if options.dimensions == 2 else layers.MaxPooling3D
    return layer(factors, name=name)(x)
