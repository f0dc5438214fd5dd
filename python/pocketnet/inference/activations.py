"""Mean activation of each feature map in a network's last layer on the test data (paper, Section III-D)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..contracts.plan import Plan
from ..contracts.splits import Intensity
from ..errors import UsageError
from ..preprocessing.intensity import Normaliser
from ..preprocessing.store import Store
from .windows import starts

if TYPE_CHECKING:
    import keras

HEAD = "logits"


def last_layer(model: keras.Model) -> keras.layers.Layer:
    """Return the network without its head, up to the last activation before the voxel-wise classification.

    Args:
        model: A segmentation network from `pocketnet.models`; its head is named `logits`.

    Returns:
        A model from (batch, *patch, channel) to (batch, *patch, feature maps).

    Raises:
        UsageError: It is an ensemble, or another network without that head.
    """
    import keras

    if HEAD not in [layer.name for layer in model.layers]:
        raise UsageError("This network has no single last layer; an ensemble has one for each member.",
                         todo="Give the model folder of one member.")
    return keras.Model(model.inputs[0], model.get_layer(HEAD).input)


def patches(store: Store, plan: Plan, constants: Sequence[Intensity]) -> Iterator[np.ndarray]:
    """Yield the inference windows of a case, normalised, each (1, *patch, channel) float32.

    Args:
        store: Store of the case.
        plan: The plan that the network was trained with.
        constants: The fold's intensity constants.
    """
    size, normalise = plan.training.patch, Normaliser(plan.preprocessing.normalisation, constants)
    along = [starts(n, p, plan.inference.overlap) for n, p in zip(store.shape, size, strict=True)]
    for start in itertools.product(*along):
        yield store.read_image(start, size, lambda x: normalise(x, store.statistics))[None]


def channel_means(model: keras.Model, images: Iterable[np.ndarray]) -> tuple[np.ndarray, int]:
    """Return the paper's F_i: for each feature map, the mean over voxels, averaged over patches.

    Args:
        model: The result of `last_layer`.
        images: Patches, each (1, *patch, channel).

    Returns:
        The means, (feature maps,) float64, and the number of patches.
    """
    total, count = 0.0, 0
    for image in images:
        maps = np.asarray(model.predict_on_batch(image), np.float64)
        total = total + maps.mean(axis=tuple(range(maps.ndim - 1)))
        count += 1
    return np.asarray(total / count), count
