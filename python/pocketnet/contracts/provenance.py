"""`provenance.json` of a model folder: what made a network, and at what cost."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract, Record, keyword_record, record
from .fields import AnyText, Count, Number, Positive, Text, Whole, absent
from .splits import Intensity


@record
class Hardware(Record):
    """The machine.

    Attributes:
        cpu: Model of its processor.
        cores: That the process could use.
        memory_mib: Of the machine.
        backend: Keras' backend.
        devices: As the backend names them.
    """

    cpu: AnyText | None = absent()
    cores: Count | None = absent()
    memory_mib: Number | None = absent()
    backend: AnyText | None = absent()
    devices: tuple[AnyText, ...] | None = absent()


@record
class Origin(Record):
    """The network that a training started from.

    Attributes:
        run_key: Of its training.
        width: Its width.
        steps: Of all trainings until there.
    """

    run_key: Text
    width: Text
    steps: Count


@record
class Attempt(Record):
    """A process that trained.

    Attributes:
        first_step, last_step: What of its steps counts; no step before a checkpoint is in two attempts.
        seconds: How long it ran.
        ended: How.
        devices: That shared each batch.
    """

    first_step: Count
    last_step: Count
    seconds: Number
    ended: Literal["finished", "stopped", "killed"]
    devices: Positive | None = absent()


@keyword_record
class Identity(Record):
    """What of a training is known when it begins.

    Attributes:
        dataset, arch, width, fold, recipe, seed: What is trained. The width of a network that started from another is
            a name.
        precision: That layers compute in.
        parameters: Number of weights.
        run_key: Checksum of what defines the run.
        code: Checksum of the training's code.
        version: Of this package.
        commit: Of the code's repository; `+`: with changes; None: outside git.
        versions: Of Python and the libraries.
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
    """Where a network is from.

    Attributes:
        steps: Of this training.
        attempts: The processes that trained.
        wall_seconds: Of all attempts.
        peak_host_memory_mib: Resident memory.
        peak_device_memory_mib: Of the GPU's allocator; None on a processor.
        validation_loss: Of the shipped network; None where there is none.
        intensity: The fold's constants by modality.
        start: The network that it started from; None: from random weights.
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

    @property
    def total_steps(self) -> int:
        """Steps of this training and of all trainings that it came from."""
        return self.steps + (self.start.steps if self.start else 0)
