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


MOST_UNPACKED = 20
"""Maximum unpacked bytes per byte of a `.keras` file that unpacks to more than `SMALL_BYTES`."""
SMALL_BYTES = 2**24
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
        DataError: The file cannot be loaded, loading it would run code, or it unpacks to far more than it has.
    """
    try:
        _refuse_bomb(Path(path))
        return keras.saving.load_model(path, compile=False, safe_mode=True, custom_objects=OWN_LAYERS)
    except Exception as error:  # Keras lets almost any error out for a damaged configuration
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise DataError(f"This network cannot be loaded safely: {said}",
                        where=str(path), todo="Copy the model again from where it was trained.") from None


def _refuse_bomb(path: Path) -> None:
    """Raise a ValueError if a `.keras` file unpacks to far more than it has; Keras writes without compression."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(MOST_UNPACKED * path.stat().st_size, SMALL_BYTES):
        raise ValueError(f"it has {path.stat().st_size:,} bytes and unpacks to {unpacked:,}")
