"""Parameter counts, and the saving that the paper's formula predicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import keras

from .build import build
from .network import PAPER_SHAPES, Network
from .widths import parse_width, predicted_saving

ABLATION = ("capped1024", "capped512", "capped256", "capped128", "capped64", "capped32")
"""The widths in the paper's Table IV, from full (`capped1024`) to pocket (`capped32`)."""


def paper_networks() -> Iterator[Network]:
    """Yield every network that the paper counts, and three that its text describes differently.

    The counted networks are the segmentation networks and the classifier with 1 and 4 channels (Tables I and II) and
    the ablation's widths (Table IV). The others are the classifier with the 32 feature maps that the text states, and
    the Discussion's depthwise-separable ResNet, once at the paper's width and once at a width that gives the stated
    "roughly 10,000" parameters.
    """
    for arch, shape in PAPER_SHAPES.items():
        for channels in (1, 4):
            for width in ("full", "pocket"):
                yield Network(arch=arch, width=width, channels=channels, **shape)
    for width in ABLATION:
        yield Network(width=width, **PAPER_SHAPES["unet"])
    for width in ("full", "pocket"):
        yield Network(arch="classifier", width=width, **PAPER_SHAPES["classifier"] | {"feature_maps": 32})
    for maps, depth in ((32, 5), (8, 4)):
        yield Network(arch="resnet", convolution="separable", feature_maps=maps, depth=depth)


@cache
def count(network: Network) -> int:
    """Count a network's parameters, including batch-normalisation statistics (Keras' `count_params`).

    The network is built without initialising its variables, which would take seconds for the full networks.
    """
    with keras.StatelessScope(initialize_variables=False):
        return build(network).count_params()


def row(network: Network) -> dict[str, Any]:
    """Compare a network's parameters with those of its full version.

    Returns:
        `arch, width, convolution, dimensions, channels, classes, depth, feature_maps, parameters`,
        `saving_formula` (paper, Eq. 3; None unless `pocket`) and `saving_true` (full divided by this network).
    """
    parameters = count(network)
    full = count(replace(network, width="full"))
    return {
        "arch": network.arch, "width": parse_width(network.width).name, "convolution": network.convolution,
        "dimensions": network.dimensions, "channels": network.channels, "classes": network.classes,
        "depth": network.depth, "feature_maps": network.feature_maps, "parameters": parameters,
        "saving_formula": round(predicted_saving(network.depth), 1) if network.width == "pocket" else None,
        "saving_true": round(full / parameters, 1),
    }
