"""The hash chain of a training, part of `provenance.json`."""

from __future__ import annotations

from .base import Record, record
from .fields import SHA256, Count


@record
class Link(Record):
    """The state of a training after a step, as SHA-256 checksums.

    Attributes:
        step: Number of completed steps.
        weights: All weights of the network that is trained.
        optimizer: All variables of the optimiser.
        labels: The label patches of all batches so far, in their order.
        model: The weights that a model folder of this step has: moving averages where the optimiser keeps them.
        link: All of these, and the `link` of the link before.
    """

    step: Count
    weights: SHA256
    optimizer: SHA256
    labels: SHA256
    model: SHA256
    link: SHA256
