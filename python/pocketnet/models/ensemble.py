"""Several networks as one."""

from __future__ import annotations

from collections.abc import Sequence

import keras


def mean_of(networks: Sequence[keras.Model]) -> keras.Model:
    """The network whose output is the mean of those of some networks that take the same image.

    Args:
        networks: At least two, with outputs of one shape. They are given new names.

    Returns:
        A model with as many parameters as all of them together.
    """
    image = keras.Input(networks[0].inputs[0].shape[1:])
    for number, network in enumerate(networks, 1):
        network.name = f"member_{number}"
    return keras.Model(image, keras.layers.Average(name="mean")([network(image) for network in networks]),
                       name="ensemble")
