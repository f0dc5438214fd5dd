"""The classification network: a U-Net encoder without normalisation, and a dense softmax layer."""

from __future__ import annotations

import keras
from keras import layers

from .blocks import BlockOptions, max_pool, unet_block
from .network import Network
from .widths import parse_width


def classifier(network: Network, patch: tuple[int, ...] | None = None) -> keras.Model:
    """Build the paper's classifier (Table II).

    Each level has two convolutions with activation, and max-pooling. A bottleneck of two convolutions, global
    max-pooling and a dense softmax layer follow.

    Returns:
        A functional model from `(batch, *patch, channels)` to probabilities `(batch, classes)`.
    """
    width = parse_width(network.width)
    options = BlockOptions(network.dimensions, norm="none", convolution=network.convolution,
                           activation=network.activation, kernel=network.kernel)
    spatial = tuple(patch) if patch else (None,) * network.dimensions
    inputs = x = keras.Input((*spatial, network.channels), name="image")
    for depth, factors in enumerate(network.pooling):
        maps = width.feature_maps(network.feature_maps, depth)
        x = max_pool(unet_block(x, maps, options, f"encoder{depth}"), maps, tuple(factors), options, f"down{depth}")
    x = unet_block(x, width.feature_maps(network.feature_maps, network.depth), options, "bottleneck")
    pool = layers.GlobalMaxPooling2D if network.dimensions == 2 else layers.GlobalMaxPooling3D
    x = layers.Dense(network.classes, name="logits")(pool(name="global_pool")(x))
    outputs = layers.Softmax(dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name=f"{width.name}_classifier")
