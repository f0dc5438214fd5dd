"""The backbones: what stands between two resolutions of the encoder-decoder.

A backbone is one function `block(x, feature_maps, options, name)` and one entry in `BACKBONES`. The
definitions that reproduce the paper's published parameter counts are in `docs/architectures.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keras import layers


@dataclass(frozen=True)
class BlockOptions:
    """What a block needs to know beside its feature maps.

    Attributes:
        dimensions: 2 or 3 spatial dimensions.
        norm: `batch` (the paper's), `instance` or `none`.
    """

    dimensions: int = 3
    norm: str = "batch"


def convolution(x, feature_maps: int, options: BlockOptions, name: str, kernel: int = 3, strides=1):
    """A "same" convolution with bias, in as many dimensions as the network has."""
    layer = layers.Conv2D if options.dimensions == 2 else layers.Conv3D
    return layer(feature_maps, kernel, strides=strides, padding="same", name=name)(x)


def normalisation(x, options: BlockOptions, name: str):
    """Batch normalisation as Keras defaults it, instance normalisation, or nothing."""
    if options.norm == "batch":
        return layers.BatchNormalization(name=name)(x)
    if options.norm == "instance":
        return layers.GroupNormalization(groups=-1, name=name)(x)
    return x


def unet_block(x, feature_maps: int, options: BlockOptions, name: str):
    """Twice: convolution 3, normalisation, ReLU (the paper's Algorithm 1 with two iterations)."""
    for i in (1, 2):
        x = convolution(x, feature_maps, options, f"{name}_conv{i}")
        x = normalisation(x, options, f"{name}_norm{i}")
        x = layers.ReLU(name=f"{name}_relu{i}")(x)
    return x


def max_pool(x, feature_maps: int, factors: tuple[int, ...], options: BlockOptions, name: str):
    """Max-pooling by `factors`; `feature_maps` is not used, a strided convolution would need it."""
    layer = layers.MaxPooling2D if options.dimensions == 2 else layers.MaxPooling3D
    return layer(factors, name=name)(x)


@dataclass(frozen=True)
class Backbone:
    """A block and the way down that belongs to it.

    Attributes:
        block: `block(x, feature_maps, options, name)`.
        downsample: `downsample(x, feature_maps, factors, options, name)`.
    """

    block: Callable
    downsample: Callable


BACKBONES: dict[str, Backbone] = {
    "unet": Backbone(unet_block, max_pool),
}
