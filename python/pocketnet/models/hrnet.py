"""HRNet: columns of blocks that run at several resolutions in parallel and exchange their feature maps."""

from __future__ import annotations

import keras
from keras import layers

from .blocks import BlockOptions, pointwise, probabilities, resnet_block
from .network import Network
from .widths import parse_width

MOST_ROWS = 4


def hrnet(network: Network, patch: tuple[int, ...] | None = None) -> keras.Model:
    """Build the paper's HRNet: four columns of ResNet blocks at up to four resolutions.

    Column 1 has one resolution, the finest. Column 2 has two, column 3 up to three and column 4 up to four. A depth
    above three therefore adds nothing. From column 3 on, the input of a block is the sum of all outputs of the
    previous column, each converted to the block's resolution and width.
    """
    width = parse_width(network.width)
    options = BlockOptions(network.dimensions, network.norm, network.convolution, network.activation, network.kernel)
    rows = min(network.depth + 1, MOST_ROWS)
    maps = [width.feature_maps(network.feature_maps, row) for row in range(rows)]
    factors = network.pooling
    pool = layers.MaxPooling2D if network.dimensions == 2 else layers.MaxPooling3D
    upsample = layers.UpSampling2D if network.dimensions == 2 else layers.UpSampling3D

    def scale(fine: int, coarse: int) -> tuple[int, ...]:
        """Compute the factor per axis between two rows."""
        product = [1] * network.dimensions
        for step in factors[fine:coarse]:
            product = [a * b for a, b in zip(product, step, strict=True)]
        return tuple(product)

    def bring(x: keras.KerasTensor, source: int, target: int, name: str) -> keras.KerasTensor:
        """Convert a row's tensor to another row's resolution and width."""
        if source == target:
            return x
        if source < target:
            x = pool(scale(source, target), name=f"{name}_pool")(x)
        else:
            x = upsample(scale(target, source), name=f"{name}_upsample")(x)
        return pointwise(x, maps[target], options, f"{name}_conv")

    spatial = tuple(patch) if patch else (None,) * network.dimensions
    inputs = keras.Input((*spatial, network.channels), name="image")
    first = resnet_block(inputs, maps[0], options, "column1_row1")
    column = [resnet_block(first, maps[0], options, "column2_row1")]
    if rows > 1:
        column.append(resnet_block(pool(scale(0, 1), name="column2_pool")(first), maps[1], options, "column2_row2"))
    for number in (3, 4):
        following = []
        for row in range(rows if number == 4 else min(rows, 3)):
            name = f"column{number}_row{row + 1}"
            parts = [bring(x, source, row, f"{name}_from{source + 1}") for source, x in enumerate(column)]
            x = layers.Add(name=f"{name}_sum")(parts) if len(parts) > 1 else parts[0]
            following.append(resnet_block(x, maps[row], options, name))
        column = following
    parts = [column[0]]
    for row in range(1, rows):
        x = upsample(scale(0, row), name=f"merge_upsample{row + 1}")(column[row])
        parts.append(pointwise(x, maps[0], options, f"merge_conv{row + 1}"))
    x = layers.Concatenate(name="merge_join")(parts) if len(parts) > 1 else parts[0]
    x = resnet_block(x, maps[0], options, "output")
    x = pointwise(x, network.classes, options, "logits")
    outputs = probabilities(x, network.head)
    return keras.Model(inputs, outputs, name=f"{width.name}_hrnet")
