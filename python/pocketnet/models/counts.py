"""Parameter counts: the true ones, and the saving that the paper's formula predicts."""

from __future__ import annotations

from dataclasses import replace

import keras

from .build import build
from .network import Network
from .widths import parse_width, predicted_saving


def count(network: Network) -> int:
    """Parameters of a network, batch-normalisation statistics included (Keras' `count_params`).

    The network is built without giving its variables values, which for the full ones takes seconds.
    """
    with keras.StatelessScope(initialize_variables=False):
        return build(network).count_params()


def row(network: Network) -> dict:
    """A network's parameters beside the full one's.

    Returns:
        `arch, width, convolution, dimensions, channels, classes, depth, feature_maps, parameters`,
        `saving_formula` (paper, Eq. 3; for `pocket` only, else None) and `saving_true` (full over this one).
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
