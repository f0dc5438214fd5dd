"""`profile.json`, and `predicted.json` of a plan: memory and time of training steps and forward passes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract, Record, record
from .fields import AnyText, Count, Flag, NotNegative, Number, Positive, Shape, Text, absent
from .provenance import Hardware

Mode = Literal["train", "infer"]


@record
class Predicted(Record):
    """What is predicted for a device.

    Attributes:
        device: `cpu`, `t4` …
        calibrated: Whether its rates were measured on it.
        host_memory_mib: Of the process.
        device_memory_mib: At the worst moment; on a processor by how much the process grows.
        usable_memory_mib: What the device has for it.
        fits: Whether that is enough.
        step_seconds, patches_per_second: Time.
        moment: The layer at which the most is held.
        sum_of_outputs_mib: Variables, gradients and every layer's output.
    """

    device: Text
    calibrated: Flag
    host_memory_mib: Number
    device_memory_mib: Number
    usable_memory_mib: Number
    fits: Flag
    step_seconds: Number
    patches_per_second: Number
    moment: AnyText
    sum_of_outputs_mib: Number


@record
class Measured(Record):
    """What was measured, in a process of its own; all but `status` and `reason` are None unless it is `ok`.

    Attributes:
        status: `ok`, `out_of_memory` or `failed`.
        reason: Why not ok.
        host_memory_mib: Peak resident memory.
        host_memory_growth_mib: The same, less what was resident before the network was built.
        device_memory_mib: Peak of the GPU's allocator; None without one.
        step_seconds, step_seconds_sd: Median and standard deviation over steps.
        patches_per_second: Rate.
    """

    status: Literal["ok", "out_of_memory", "failed"]
    reason: Text | None = None
    host_memory_mib: Number | None = None
    host_memory_growth_mib: Number | None = None
    device_memory_mib: Number | None = None
    step_seconds: Number | None = None
    step_seconds_sd: Number | None = None
    patches_per_second: Number | None = None


@record
class ProfiledConfiguration(Record):
    """A network, how it was run, and what that takes.

    Attributes:
        arch, width, dimensions, channels, classes, depth, feature_maps: The network.
        patch, batch: Voxels per axis, patches a step.
        mode: Training steps, or forward passes.
        engine: Of inference.
        precision: Computed in.
        accumulate, rematerialise: As in the plan.
        threads: CPU threads; None for all cores.
        steps, warm_up: Timed, and before them.
        parameters: Number of weights.
        gflops: 10⁹ operations a step that multiply weights.
        predicted, measured: What it takes; None: not known, not measured.
    """

    arch: Text
    width: Text
    dimensions: Literal[2, 3]
    channels: Positive
    classes: Positive
    depth: Count
    feature_maps: Positive
    patch: Shape
    batch: Positive
    mode: Mode
    engine: Text | None
    precision: Text
    accumulate: Positive
    rematerialise: Flag
    threads: Positive | None
    steps: Count
    warm_up: Count
    parameters: Count | None
    gflops: NotNegative | None
    predicted: Predicted | None
    measured: Measured | None


@record
class Limit(Record):
    """The largest that fits a device.

    Attributes:
        arch, width: The network.
        patch: Voxels per axis.
        largest_batch: With this patch; 0: none.
        batch: Patches a step.
        largest_patch: With this batch; None: none.
    """

    arch: AnyText
    width: AnyText
    patch: Shape
    largest_batch: Count
    batch: Positive
    largest_patch: Shape | None


@record
class Profile(Contract):
    """Every configuration of a profile.

    Attributes:
        hardware: What it was measured on.
        configurations: An entry for each combination.
        limits: The largest that fit, of a profile that is only predicted.
    """

    kind: ClassVar[str] = "profile"
    schema_version: ClassVar[int] = 3
    writer: ClassVar[str | None] = "profile"
    hardware: Hardware
    configurations: Annotated[tuple[ProfiledConfiguration, ...], Field(min_length=1)]
    limits: tuple[Limit, ...] | None = absent()
