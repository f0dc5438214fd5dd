"""Start a training from a trained network instead of random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contracts.plan import Plan
from ..contracts.provenance import Origin
from ..errors import UsageError
from .model_folder import ModelFolder

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Start:
    """A trained network to start a training from: the `model.keras` of its folder.

    Attributes:
        model: Its model folder.
        variant: Name of the resulting network in tables.
    """

    model: ModelFolder
    variant: str

    @classmethod
    def open(cls, folder: Path, variant: str) -> Start:
        """Open and verify a model folder.

        Raises:
            UsageError: The folder does not exist.
            DataError: The folder is incomplete or was altered.
        """
        return cls(ModelFolder.open(folder), variant)

    @property
    def identity(self) -> dict[str, Any]:
        """The part of the run key that identifies the start."""
        return {"variant": self.variant, "model": self.model.sha256["model.keras"]}

    @property
    def record(self) -> Origin:
        """The provenance's record of the start: its run key, its width and its total steps."""
        source = self.model.provenance
        return Origin(source.run_key, source.width, source.total_steps)

    def give_weights(self, model: keras.Model, plan: Plan) -> None:
        """Copy the weights to a newly built network.

        Raises:
            UsageError: The network differs, or the start was trained on another dataset or by another plan.
        """
        from ..models.build import load

        if (self.model.plan.dataset, self.model.plan.network) != (plan.dataset, plan.network):
            raise UsageError("The network to start from was trained on another dataset or with another plan.",
                             where=str(self.model.path), todo="Train it with the same plan.")
        weights = load(self.model.path / "model.keras").get_weights()
        if [weight.shape for weight in weights] != [weight.shape for weight in model.get_weights()]:
            raise UsageError(f"The network to start from ({self.model.provenance.width} "
                             f"{self.model.provenance.arch}) is not the network to be trained.",
                             where=str(self.model.path), todo="Give its --arch and --width, or prune it to that width.")
        model.set_weights(weights)
