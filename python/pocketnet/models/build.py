"""Build a Keras model from a `Network`, and load one from a file without running its code."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

from ..errors import DataError
from .classifier import classifier
from .depthwise import DepthwiseConv3D
from .encoder_decoder import encoder_decoder
from .hrnet import hrnet
from .network import ARCHITECTURES, Network
from .normalisation import BatchNormalization, InstanceNormalization

BUILDERS = {"encoder_decoder": encoder_decoder, "hrnet": hrnet, "classifier": classifier}
"""Builders by the name used in `architectures.json`: `builder(network, patch) -> keras.Model`."""


OWN_LAYERS = {f"pocketnet>{kind.__name__}": kind
              for kind in (BatchNormalization, DepthwiseConv3D, InstanceNormalization)}
"""The package's own layers, by the name under which Keras registers them."""


def build(network: Network, patch: tuple[int, ...] | None = None) -> keras.Model:
    """Build `network` for inputs of size `patch` (voxels), or of any size that its divisor divides."""
    if patch is not None:
        network.check_patch(tuple(patch))
    return BUILDERS[ARCHITECTURES[network.arch]["builder"]](network, patch)


def load(path: str | Path) -> keras.Model:
    """Load a `.keras` file without running any code that it contains (`safe_mode`).

    Raises:
        DataError: The file cannot be loaded, or loading it would run code.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True, custom_objects=OWN_LAYERS)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"This network cannot be loaded safely: {str(error).strip().splitlines()[0][:300]}",
                        where=str(path), todo="Copy the model again from where it was trained.") from None
