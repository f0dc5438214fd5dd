"""The encoder-decoder shared by U-Net, ResNet and DenseNet."""

from __future__ import annotations

import keras
from keras import layers

from . import blocks
from .blocks import BlockOptions, pointwise, probabilities
from .network import ARCHITECTURES, Network
from .widths import parse_width


def encoder_decoder(network: Network, patch: tuple[int, ...] | None = None) -> keras.Model:
    """Build a segmentation network.

    Each encoder level has a block and a downsampling. After a bottleneck block, each decoder level has a transposed
    convolution with the same factors (with bias, without normalisation or activation), the skip connection and a block.
    A kernel-1 convolution and a float32 softmax (or sigmoid) form the head.

    Args:
        network: The network to build.
        patch: Spatial size of the input in voxels, or None for any size that the network's divisor divides.

    Returns:
        A functional model from `(batch, *patch, channels)` to probabilities `(batch, *patch, classes)`.

    Source: the paper's Algorithm 1, with the concatenated skip connection that its published counts require.
    """
    block, downsample = (getattr(blocks, ARCHITECTURES[network.arch][part]) for part in ("block", "downsample"))
    width = parse_width(network.width)
    options = BlockOptions(network.dimensions, network.norm, network.convolution, network.activation, network.kernel)
    maps = [width.feature_maps(network.feature_maps, depth) for depth in range(network.depth + 1)]
    upsampling = layers.Conv2DTranspose if network.dimensions == 2 else layers.Conv3DTranspose

    spatial = tuple(patch) if patch else (None,) * network.dimensions
    inputs = x = keras.Input((*spatial, network.channels), name="image")
    skips = []
    for depth, factors in enumerate(network.pooling):
        x = block(x, maps[depth], options, f"encoder{depth}")
        skips.append(x)
        x = downsample(x, maps[depth], tuple(factors), options, f"down{depth}")
    x = block(x, maps[-1], options, "bottleneck")
    for depth in reversed(range(network.depth)):
        factors = tuple(network.pooling[depth])
        x = upsampling(maps[depth], factors, strides=factors, padding="same", name=f"up{depth}")(x)
        if network.skip == "concatenate":
            x = layers.Concatenate(name=f"skip{depth}")([x, skips[depth]])
        else:
            x = layers.Add(name=f"skip{depth}")([x, skips[depth]])
        x = block(x, maps[depth], options, f"decoder{depth}")
    x = pointwise(x, network.classes, options, "logits")
    outputs = probabilities(x, network.head)
    return keras.Model(inputs, outputs, name=f"{width.name}_{network.arch}")
