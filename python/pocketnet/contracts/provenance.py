"""`provenance.json` of a model folder: the origin of a network and the resources of its training."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract, Record, keyword_record, record
from .chain import Link
from .decisions import Decisions
from .energy import Energy
from .fields import SHA256, AnyText, Count, Flag, Number, Positive, Text, Whole, absent
from .ranges import TrainingRanges
from .splits import Intensity


@record
class Hardware(Record):
    """A machine.

    Attributes:
        cpu: Model of the processor.
        instructions: Those of its vector instructions on which results depend; see `backend.INSTRUCTIONS`.
        cores: Number of cores available to the process.
        memory_mib: Memory of the machine in MiB.
        backend: Keras backend.
        devices: Device names given by the backend.
    """

    cpu: AnyText | None = absent()
    instructions: tuple[AnyText, ...] | None = absent()
    cores: Count | None = absent()
    memory_mib: Number | None = absent()
    backend: AnyText | None = absent()
    devices: tuple[AnyText, ...] | None = absent()


@record
class Origin(Record):
    """The network that a training started from.

    Attributes:
        run_key: Run key of its training.
        width: Width of the network.
        steps: Total steps of all its trainings.
        model: Name of its model folder.
        sha256: Checksum of its `model.keras`.
        dataset: Dataset of its training.
        taken: Number of layers that were taken from it.
        left: Names of the other layers, which started from random weights.
        frozen: Whether the layers that were taken kept their weights.
    """

    run_key: Text
    width: Text
    steps: Count
    model: AnyText | None = absent()
    sha256: SHA256 | None = absent()
    dataset: Text | None = absent()
    taken: Count | None = absent()
    left: tuple[Text, ...] | None = absent()
    frozen: Flag | None = absent()


@record
class Attempt(Record):
    """One start of a training, which may be stopped and resumed.

    Attributes:
        first_step, last_step: Steps of this attempt that count. Each step counts in one attempt only.
        seconds: Running time.
        ended: How the attempt ended.
        devices: Number of devices that shared each batch, on all nodes.
        nodes: Number of nodes that shared each batch.
        threads: Number of CPU threads per operation; None for all cores.
        energy: Energy of this attempt, up to its last checkpoint; absent on several nodes.
    """

    first_step: Count
    last_step: Count
    seconds: Number
    ended: Literal["finished", "stopped", "killed"]
    devices: Positive | None = absent()
    nodes: Positive | None = absent()
    threads: Positive | None = absent()
    energy: Energy | None = absent()


@keyword_record
class Identity(Record):
    """The part of the provenance that is known when a training begins.

    Attributes:
        dataset, arch, fold, recipe, seed: Inputs of the training.
        width: Width of the network; for a network that started from another one, its variant name.
        precision: Precision of the layers' computation.
        parameters: Number of weights.
        run_key: Checksum of everything that defines the run.
        code: Checksum of the training's code.
        version: Version of this package.
        commit: Git commit of the code; `+` marks uncommitted changes; None outside git.
        versions: Versions of Python and the libraries.
        hardware: The machine.
    """

    dataset: Text
    arch: Text
    width: Text
    fold: Count
    recipe: Text
    seed: Whole
    precision: Text | None = absent()
    parameters: Count
    run_key: Text
    code: Text
    version: Text
    commit: AnyText | None = None
    versions: dict[AnyText, AnyText]
    hardware: Hardware


@record
class Provenance(Identity, Contract):
    """The origin of a network.

    Attributes:
        steps: Steps of this training.
        attempts: Processes of the training.
        wall_seconds: Total time of all attempts.
        energy: Total energy of all attempts; absent if it is not known of one of them.
        peak_host_memory_mib: Peak resident memory in MiB.
        peak_device_memory_mib: Peak of the GPU allocator in MiB; None on a CPU.
        validation_loss: Validation loss of the saved network; None if there is none.
        intensity: The fold's intensity constants, per modality.
        start: Network that the training started from; None for random weights.
        ranges: Ranges of the training images, with which inference compares each image; None if they are unknown.
        decisions: How the network is used, where the plan lets the data decide; None if nothing was decided.
        chain: The state of the training at its start and after each epoch, as checksums (`training/chain.py`).
    """

    kind: ClassVar[str] = "provenance"
    steps: Count
    attempts: Annotated[tuple[Attempt, ...], Field(min_length=1)]
    wall_seconds: Number
    peak_host_memory_mib: Number
    peak_device_memory_mib: Number | None
    validation_loss: Number | None
    intensity: tuple[Intensity, ...]
    start: Origin | None = absent()
    ranges: TrainingRanges | None = absent()
    decisions: Decisions | None = absent()
    chain: tuple[Link, ...] | None = absent()
    energy: Energy | None = absent()

    @property
    def total_steps(self) -> int:
        """Steps of this training and all trainings before it."""
        return self.steps + (self.start.steps if self.start else 0)
