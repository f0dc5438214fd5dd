"""A configuration to predict or measure: one network with one patch, batch, mode and precision."""

from __future__ import annotations

from dataclasses import dataclass

from ..models.network import Network

MODES = ("train", "infer")


@dataclass(frozen=True)
class Configuration:
    """One configuration of a profile. The measuring process receives it as JSON.

    Attributes:
        network: The network to build.
        patch: Voxels per axis.
        batch: Patches per step.
        mode: `train` for complete training steps, `infer` for forward passes with an engine.
        precision: As wished, one of `config.PRECISIONS`; inference is in float32.
        engine: Inference engine, one of `inference.engines.ENGINES`.
        loss, learning_rate, clip_norm, accumulate, rematerialise, average_decay: As in `config.Training`.
        steps: Number of steps to time; 0 only predicts.
        warm_up: Number of untimed steps before them.
        threads: CPU threads; None for all cores.
        seed: Seed of weights and patches.
        device: Device to predict for, as accepted by `devices.load`; None for the device that this machine uses.
        trace: Folder for a TensorFlow profiler trace, which TensorBoard opens; None for no trace.
    """

    network: Network
    patch: tuple[int, ...]
    batch: int
    mode: str = "train"
    precision: str = "float32"
    engine: str = "auto"
    loss: str = "l2_dice"
    learning_rate: float = 0.001
    clip_norm: float | None = None
    accumulate: int = 1
    rematerialise: bool = False
    average_decay: float | None = None
    steps: int = 5
    warm_up: int = 2
    threads: int | None = None
    seed: int = 0
    device: str | None = None
    trace: str | None = None

    def describe(self) -> str:
        """Return a short description for messages."""
        sides = "×".join(map(str, self.patch))
        return f"{self.network.width} {self.network.arch}, {self.mode}, patch {sides}, batch {self.batch}"
