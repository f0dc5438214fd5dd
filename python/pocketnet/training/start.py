"""Starting from a trained network instead of from chance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import files
from ..contracts.plan import Plan
from ..contracts.provenance import Origin
from ..errors import UsageError
from .model_folder import ModelFolder

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Start:
    """A trained network that a training goes on from: its best one by validation loss.

    Attributes:
        model: Its folder.
        variant: What the tables call the network that comes out of it.
    """

    model: ModelFolder
    variant: str

    @classmethod
    def open(cls, folder: Path, variant: str) -> Start:
        """Open and verify a model folder.

        Raises:
            UsageError: There is none.
            DataError: It is incomplete or was altered.
        """
        return cls(ModelFolder.open(folder), variant)

    @property
    def identity(self) -> dict[str, Any]:
        """What defines the start, for the run key."""
        return {"variant": self.variant, "model": files.sha256(self.model.path / "model.keras")}

    @property
    def record(self) -> Origin:
        """For the provenance: the run that it was, its name, and the steps until there in all."""
        source = self.model.provenance
        return Origin(source.run_key, source.width, source.total_steps)

    def give_weights(self, model: keras.Model, plan: Plan) -> None:
        """Set the weights of a newly built network.

        Raises:
            UsageError: It is another network, or the start was trained on other data or another fold's.
        """
        from ..models.build import load

        if (self.model.plan.dataset, self.model.plan.network) != (plan.dataset, plan.network):
            raise UsageError("The network to start from was made for another dataset or by another plan.",
                             where=str(self.model.path), todo="Train it by the same plan.")
        weights = load(self.model.path / "model.keras").get_weights()
        if [weight.shape for weight in weights] != [weight.shape for weight in model.get_weights()]:
            raise UsageError(f"The network to start from ({self.model.provenance.width} "
                             f"{self.model.provenance.arch}) is another one than is to be trained.",
                             where=str(self.model.path), todo="Give its --arch and --width, or prune it to that width.")
        model.set_weights(weights)
