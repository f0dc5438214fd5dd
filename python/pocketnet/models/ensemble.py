"""Combine several networks into one."""

from __future__ import annotations

from collections.abc import Sequence

import keras


def mean_of(networks: Sequence[keras.Model]) -> keras.Model:
    """Build a network whose output is the mean of the outputs of several networks with the same input.

    Args:
        networks: At least two networks with outputs of the same shape. The function renames them.

    Returns:
        A model with the parameters of all networks.
    """
    image = keras.Input(networks[0].inputs[0].shape[1:], name="image")
    for number, network in enumerate(networks, 1):
        network.name = f"member_{number}"
    return keras.Model(image, keras.layers.Average(name="mean")([network(image) for network in networks]),
                       name="ensemble")
