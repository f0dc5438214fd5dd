"""The layers of each architecture are those that someone has looked at: `tests/golden/networks.txt`.

Names of layers are part of files: pruning, exports and checkpoints find layers by them. With `POCKET_LIST_ANEW` set,
the list is written again.
"""

import os
from pathlib import Path

import keras
import pytest
from pocketnet.models.build import build
from pocketnet.models.network import Network

LOOKED_AT = Path(__file__).resolve().parents[2] / "golden/networks.txt"
SETTINGS = ("filters", "units", "kernel_size", "strides", "padding", "use_bias", "pool_size", "size", "axis", "groups",
            "shared_axes", "negative_slope", "momentum", "epsilon")
NETWORKS = {
    "unet": Network(width="full", channels=2, classes=3, depth=2, feature_maps=4, pooling=((2, 2, 1), (2, 2, 2))),
    "unet, two dimensions": Network(dimensions=2, depth=2, feature_maps=4, skip="add", norm="instance",
                                    activation="leaky_relu"),
    "resnet": Network("resnet", "capped6", depth=2, feature_maps=4, convolution="separable"),
    "resnet, two dimensions": Network("resnet", "full", dimensions=2, depth=1, feature_maps=4, norm="none"),
    "densenet": Network("densenet", "full", depth=2, feature_maps=4, pooling=((1, 2, 2), (2, 2, 2)), skip="add"),
    "densenet, two dimensions": Network("densenet", dimensions=2, depth=1, feature_maps=4, convolution="separable"),
    "hrnet": Network("hrnet", "full", depth=4, feature_maps=2, channels=2, classes=3,
                     pooling=((2, 2, 1), (2, 2, 2), (2, 1, 2), (2, 2, 2))),
    "hrnet, two dimensions": Network("hrnet", dimensions=2, depth=1, feature_maps=4, norm="instance"),
    "hrnet of one resolution": Network("hrnet", depth=0, feature_maps=4, convolution="separable"),
    "classifier": Network("classifier", "full", dimensions=2, depth=2, feature_maps=4, activation="leaky_relu"),
    "classifier, three dimensions": Network("classifier", depth=1, feature_maps=4, pooling=((2, 2, 1),)),
}


def listed(network: Network) -> list[str]:
    """A line per layer: its class and name, what it reads, its settings and its output."""
    with keras.StatelessScope(initialize_variables=False):
        model = build(network, tuple(4 * side for side in network.divisor))
    lines = [f"{model.name}, {model.count_params()} parameters, {model.output.dtype} {model.output.shape}"]
    for layer in model.layers:
        config = layer.get_config()
        settings = " ".join(f"{name}={config[name]}" for name in SETTINGS if name in config)
        reads = layer.input if isinstance(layer.input, list) else [layer.input]
        sources = ", ".join(tensor._keras_history.operation.name for tensor in reads)
        lines.append(f"{type(layer).__name__} {layer.name} of {sources}: {settings} to {layer.output.shape}")
    return lines


@pytest.mark.parametrize("name", NETWORKS)
def test_an_architecture_has_the_layers_that_were_looked_at(name):
    known = dict(part.split("\n", 1) for part in LOOKED_AT.read_text().split("\n\n")) if LOOKED_AT.exists() else {}
    lines = listed(NETWORKS[name])
    if os.environ.get("POCKET_LIST_ANEW"):
        known[name] = "\n".join(lines)
        LOOKED_AT.write_text("\n\n".join(f"{one}\n{known[one].strip()}" for one in NETWORKS if one in known) + "\n")
    assert lines == known[name].splitlines()
    with keras.StatelessScope(initialize_variables=False):
        free = build(NETWORKS[name])
    assert [layer.name for layer in free.layers] == [line.split()[1] for line in lines[1:]]
    assert free.input.shape[1:-1] == (None,) * NETWORKS[name].dimensions
