"""Start a training from a trained network instead of random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contracts.plan import Plan
from ..contracts.provenance import Origin
from ..errors import UsageError
from .model_folder import ModelFolder

if TYPE_CHECKING:
    import keras

LEAST_SHARE = 0.5
"""Minimum share of a network's weights that the network to start from must have."""
STRUCTURE = ("depth", "feature_maps", "pooling", "norm", "skip", "convolution", "activation")
"""Settings of a network on which the shapes of its layers depend, besides channels, classes and width."""


@dataclass(frozen=True)
class Taken:
    """The layers with weights that a network took from another one, and those that it did not."""

    taken: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True)
class Start:
    """A trained network to start a training from: the `model.keras` of its folder.

    Attributes:
        model: Its model folder.
        variant: Name of the resulting network in tables; None for its width.
        freeze: Whether the layers that are taken keep their weights.
    """

    model: ModelFolder
    variant: str | None = None
    freeze: bool = False

    @classmethod
    def open(cls, folder: Path, variant: str | None = None, freeze: bool = False) -> Start:
        """Open and verify a model folder.

        Raises:
            UsageError: The folder does not exist.
            DataError: The folder is incomplete or was altered.
        """
        return cls(ModelFolder.open(folder), variant, freeze)

    @property
    def identity(self) -> dict[str, Any]:
        """The part of the run key that identifies the start."""
        return ({"variant": self.variant, "model": self.model.sha256["model.keras"]}
                | ({"freeze": True} if self.freeze else {}))

    def record(self, layers: Taken | None = None) -> Origin:
        """Return the provenance's record of the start."""
        source = self.model.provenance
        return Origin(source.run_key, source.width, source.total_steps, self.model.path.resolve().name,
                      self.model.sha256["model.keras"], source.dataset,
                      len(layers.taken) if layers else None, (layers.left or None) if layers else None,
                      True if self.freeze else None)

    def check(self, plan: Plan) -> None:
        """Check that a network by this plan can start from the model.

        Raises:
            UsageError: The model is for another task, has another number of dimensions, or slices along another axis.
        """
        source = self.model.plan
        if source.task != plan.task:
            raise UsageError(f"The network to start from is for {source.task}, not for {plan.task}.",
                             where=str(self.model.path), todo=f"Start from a network for {plan.task}.")
        found, wanted = source.network.convolved_dimensions, plan.network.convolved_dimensions
        if found != wanted:
            raise UsageError(f"The network to start from has {found} dimensions, the one to be trained {wanted}.",
                             where=str(self.model.path), todo=f"Start from a network of {wanted} dimensions.")
        axis, other = source.network.through, plan.network.through
        if axis != other:
            raise UsageError(f"The network to start from has slices along axis {axis}, the one to be trained along "
                             f"axis {other} (of x, y and z, numbered from 0).", where=str(self.model.path),
                             todo="Start from a network of images with thick slices along the same axis.")

    def structured(self, plan: Plan) -> Plan:
        """Return the plan with the model's structure, so that its layers fit, and a patch that suits it.

        Raises:
            UsageError: As `check`.
        """
        self.check(plan)
        source = self.model.plan.network
        network = replace(plan.network, **{name: getattr(source, name) for name in STRUCTURE})
        patch = tuple(max(step, side // step * step)
                      for side, step in zip(plan.training.patch, network.divisor, strict=True))
        size = patch if plan.preprocessing.size else None
        return replace(plan, network=network, training=replace(plan.training, patch=patch),
                       preprocessing=replace(plan.preprocessing, size=size))

    def give_weights(self, model: keras.Model) -> Taken:
        """Give a newly built network the weights of each layer of the same name and shapes; freeze these if wanted.

        Raises:
            UsageError: Too few of the weights fit, or all layers would be frozen.
        """
        from ..models.build import load

        theirs = {layer.name: layer.get_weights() for layer in load(self.model.path / "model.keras").layers}
        layers = [layer for layer in model.layers if layer.weights]
        fitting = [layer for layer in layers if _shapes(theirs.get(layer.name, [])) == _shapes(layer.get_weights())]
        size, all_ = _size(fitting), _size(layers)
        source = self.model.provenance
        if size < LEAST_SHARE * all_:
            raise UsageError(f"The network to start from ({source.width} {source.arch}) is not the network to be "
                             f"trained: {len(fitting)} of {len(layers)} layers fit, with {size / all_:.0%} of the "
                             "weights.", where=str(self.model.path),
                             todo="Give its --arch and --width, plan with pocket-plan --start-from, or prune it to "
                                  "that width.")
        if self.freeze and len(fitting) == len(layers):
            raise UsageError("All layers are taken from the network to start from, so with --freeze there is nothing "
                             "to train.", where=str(self.model.path), todo="Leave --freeze out.")
        for layer in fitting:
            layer.set_weights(theirs[layer.name])
            layer.trainable = not self.freeze
        taken = {layer.name for layer in fitting}
        return Taken(tuple(layer.name for layer in fitting),
                     tuple(layer.name for layer in layers if layer.name not in taken))

    def words(self, layers: Taken) -> str:
        """Describe the start in words."""
        left = f"; not taken: {', '.join(layers.left)}" if layers.left else ""
        return (f"started from {self.model.path}: {len(layers.taken)} of {len(layers.taken) + len(layers.left)} layers "
                f"taken{' and frozen' if self.freeze else ''}{left}")


def adjusted(plan: Plan, epochs: int | None = None, learning_rate: float | None = None) -> Plan:
    """Return the plan with other numbers of epochs and another initial learning rate; None keeps the plan's.

    Raises:
        UsageError: A value is not above 0.
    """
    for name, value in (("--epochs", epochs), ("--learning-rate", learning_rate)):
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} must be above 0. Received: {value}")
    training = plan.training
    return replace(plan, training=replace(training, epochs=epochs or training.epochs,
                                          learning_rate=learning_rate or training.learning_rate))


def _shapes(weights: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    return [weight.shape for weight in weights]


def _size(layers: Sequence[keras.layers.Layer]) -> int:
    return sum(weight.size for layer in layers for weight in layer.get_weights())
