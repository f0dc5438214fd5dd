"""`provenance.json` of a model folder: what made a network, and at what cost."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract, Record, record
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
class Start(Record):
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


@record
class Provenance(Contract):
    """Where a network is from.

    Attributes:
        dataset, arch, width, fold, recipe, seed: What was trained. The width of a network that started from another
            is a name.
        start: The network that it started from; None: from random weights.
        precision: As the plan says it.
        parameters: Number of weights.
        steps: Of this training.
        run_key: Checksum of what defines the run.
        code: Checksum of the training's code.
        commit: Of the code's repository; `+`: with changes; None: outside git.
        version: Of this package.
        versions: Of Python and the libraries.
        hardware: The machine.
        attempts: The processes that trained.
        wall_seconds: Of all attempts.
        peak_host_memory_mib: Resident memory.
        peak_device_memory_mib: Of the GPU's allocator; None on a processor.
        validation_loss: Of the shipped network; None where there is none.
        intensity: The fold's constants by modality.
    """

    kind: ClassVar[str] = "provenance"
    dataset: Text
    arch: Text
    width: Text
    fold: Count
    recipe: Text
    seed: Whole
    parameters: Count
    steps: Count
    run_key: Text
    code: Text
    version: Text
    versions: dict[AnyText, AnyText]
    hardware: Hardware
    attempts: Annotated[tuple[Attempt, ...], Field(min_length=1)]
    wall_seconds: Number
    peak_host_memory_mib: Number
    peak_device_memory_mib: Number | None
    validation_loss: Number | None
    intensity: tuple[Intensity, ...]
    start: Start | None = absent()
    precision: Text | None = absent()
    commit: AnyText | None = None
