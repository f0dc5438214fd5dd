"""The backbones: what stands between two resolutions of the encoder-decoder.

A backbone is one function `block(x, feature_maps, options, name)` and one entry in `architectures.json`, which
names it and the way down, `downsample(x, feature_maps, factors, options, name)`. The definitions that reproduce the
paper's published parameter counts are in `docs/architectures.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

from keras import layers

from .depthwise import DepthwiseConv3D
from .normalisation import BatchNormalization, InstanceNormalization


@dataclass(frozen=True)
class BlockOptions:
    """What a block needs to know beside its feature maps.

    Attributes:
        dimensions: 2 or 3 spatial dimensions.
        norm: `batch` (the paper's), `instance` or `none`.
        convolution: `standard`, or `separable`: depthwise without bias, then pointwise (paper, Discussion).
        activation: `relu` (the paper's) or `leaky_relu`, of slope 0.01 below 0 (nnU-Net's); a PReLU stays one.
    """

    dimensions: int = 3
    norm: str = "batch"
    convolution: str = "standard"
    activation: str = "relu"


def convolution(x, feature_maps: int, options: BlockOptions, name: str):
    """A "same" convolution of kernel 3 with bias, standard or depthwise-separable."""
    if options.convolution == "separable":
        depthwise = (layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_depthwise")
                     if options.dimensions == 2 else DepthwiseConv3D(3, name=f"{name}_depthwise"))
        return pointwise(depthwise(x), feature_maps, options, name)
    layer = layers.Conv2D if options.dimensions == 2 else layers.Conv3D
    return layer(feature_maps, 3, padding="same", name=name)(x)


def pointwise(x, feature_maps: int, options: BlockOptions, name: str):
    """A convolution of kernel 1 with bias: it mixes feature maps and sees no neighbours."""
    layer = layers.Conv2D if options.dimensions == 2 else layers.Conv3D
    return layer(feature_maps, 1, name=name)(x)


def normalisation(x, options: BlockOptions, name: str):
    """Batch normalisation with Keras' defaults, instance normalisation, or nothing."""
    if options.norm == "batch":
        return BatchNormalization(name=name)(x)
    if options.norm == "instance":
        return InstanceNormalization(name=name)(x)
    return x


def activation(x, options: BlockOptions, name: str):
    """The ReLU that the options say."""
    layer = layers.LeakyReLU(0.01, name=name) if options.activation == "leaky_relu" else layers.ReLU(name=name)
    return layer(x)


def unet_block(x, feature_maps: int, options: BlockOptions, name: str):
    """Twice: convolution 3, normalisation, activation (the paper's Algorithm 1 with two iterations)."""
    for i in (1, 2):
        x = convolution(x, feature_maps, options, f"{name}_conv{i}")
        x = normalisation(x, options, f"{name}_norm{i}")
        x = activation(x, options, f"{name}_relu{i}")
    return x


def prelu(x, options: BlockOptions, name: str):
    """A parametric ReLU with one slope a feature map, shared over space."""
    return layers.PReLU(shared_axes=list(range(1, options.dimensions + 1)), name=name)(x)


def resnet_block(x, feature_maps: int, options: BlockOptions, name: str):
    """Two convolutions with a shortcut of a convolution of kernel 1, which stands there always."""
    shortcut = pointwise(x, feature_maps, options, f"{name}_shortcut")
    for i in (1, 2):
        x = convolution(x, feature_maps, options, f"{name}_conv{i}")
        x = normalisation(x, options, f"{name}_norm{i}")
        x = prelu(x, options, f"{name}_prelu{i}")
    return prelu(layers.Add(name=f"{name}_add")([x, shortcut]), options, f"{name}_prelu3")


def densenet_block(x, feature_maps: int, options: BlockOptions, name: str):
    """Twice a convolution whose output joins its input (growth: the width), then a convolution of kernel 1."""
    for i in (1, 2):
        y = convolution(x, feature_maps, options, f"{name}_conv{i}")
        y = prelu(normalisation(y, options, f"{name}_norm{i}"), options, f"{name}_prelu{i}")
        x = layers.Concatenate(name=f"{name}_join{i}")([x, y])
    x = pointwise(x, feature_maps, options, f"{name}_transition")
    return prelu(x, options, f"{name}_prelu3")


def strided_convolution(x, feature_maps: int, factors: tuple[int, ...], options: BlockOptions, name: str):
    """A convolution whose kernel and stride are `factors`; bias, no normalisation."""
    layer = layers.Conv2D if options.dimensions == 2 else layers.Conv3D
    return layer(feature_maps, factors, strides=factors, padding="same", name=name)(x)


def max_pool(x, feature_maps: int, factors: tuple[int, ...], options: BlockOptions, name: str):
    """Max-pooling by `factors`; `feature_maps` is not used, a strided convolution would need it."""
    layer = layers.MaxPooling2D if options.dimensions == 2 else layers.MaxPooling3D
    return layer(factors, name=name)(x)
