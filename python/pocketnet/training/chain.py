"""The hash chain of a training: what its state was at the start and after each epoch.

Each link has checksums of the weights, the optimiser and the labels seen, and one over these and the link before.
A link can be computed again by training from an earlier state, because a training is reproducible (`verified.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from .. import files
from ..contracts.chain import Link

NOTHING = "0" * 64
"""The `labels` and the `link` before the first."""
INTERVALS = 5
"""Number of epochs that can be trained again, if the states before and after each are small enough to keep."""
KEPT_MIB = 256
"""Maximum size of the states kept of one training, in MiB."""


def weights_digest(values: Iterable[np.ndarray]) -> str:
    """Return the SHA-256 of arrays: their types, shapes and values, in order."""
    found = hashlib.sha256()
    for value in values:
        found.update(f"{value.dtype.str}{value.shape}".encode())
        found.update(np.ascontiguousarray(value).data)
    return found.hexdigest()


def labels_digest(before: str, label: np.ndarray) -> str:
    """Return the SHA-256 of all labels so far, given that of the labels before a batch, and the batch's."""
    return weights_digest([np.frombuffer(before.encode(), np.uint8), label])


def next_link(before: Link | None, step: int, weights: str, optimizer: str, labels: str, model: str) -> Link:
    """Return the link of a step; `before` is the link before, None at the start of the training."""
    given = {"before": before.link if before else NOTHING, "step": step, "weights": weights, "optimizer": optimizer,
             "labels": labels, "model": model}
    return Link(step, weights, optimizer, labels, model, files.digest(given, 64))


def first_broken(chain: Sequence[Link]) -> int | None:
    """Return the step of the first link that does not follow from the one before; None if all do."""
    before: Link | None = None
    for one in chain:
        if one != next_link(before, one.step, one.weights, one.optimizer, one.labels, one.model):
            return one.step
        before = one
    return None


def kept_epochs(epochs: int, state_mib: float) -> set[int]:
    """Return the epochs after which the state is kept: both ends of at most `INTERVALS` epochs, evenly spread.

    The start of the training needs no file, because it follows from the seed, and the end is in the last checkpoint.

    Args:
        epochs: Number of epochs of the training.
        state_mib: Size of one state in MiB.
    """
    room = int(KEPT_MIB // max(state_mib, 1e-6))
    intervals = min(INTERVALS, epochs, (room + 1) // 2)
    if intervals < 1:
        return set()
    begins = [number * epochs // intervals for number in range(intervals)]
    return {epoch for begin in begins for epoch in (begin, begin + 1)} - {0, epochs}
