"""From a `Network` to a Keras model and back from a file, safely."""

from __future__ import annotations

from pathlib import Path

import keras

from .classifier import classifier
from .depthwise import DepthwiseConv3D
from .encoder_decoder import encoder_decoder
from .hrnet import hrnet
from .network import Network

BUILDERS = {"hrnet": hrnet, "classifier": classifier}
"""Networks of another shape than the encoder-decoder, which takes every architecture in `blocks.BACKBONES`."""


def build(network: Network, patch: tuple[int, ...] | None = None) -> keras.Model:
    """Build `network` for inputs of `patch` voxels, or of any size that its depth divides."""
    if patch is not None:
        network.check_patch(tuple(patch))
    return BUILDERS.get(network.arch, encoder_decoder)(network, patch)


def load(path: str | Path) -> keras.Model:
    """Load a `.keras` file without running any code that it may carry (`safe_mode`)."""
    return keras.saving.load_model(path, compile=False, safe_mode=True,
                                   custom_objects={"DepthwiseConv3D": DepthwiseConv3D})
