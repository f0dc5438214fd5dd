"""`profile.json`, and a plan's `predicted.json`: memory and time of training steps and forward passes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract, Record, record
from .fields import AnyText, Count, Flag, NotNegative, Number, Positive, Prose, Shape, Text, absent
from .provenance import Hardware

Mode = Literal["train", "infer"]


@record
class Predicted(Record):
    """Prediction for a device.

    Attributes:
        device: `cpu`, `t4` …
        calibrated: Whether the device's rates were measured on it.
        host_memory_mib: Memory of the process in MiB.
        device_memory_mib: Peak device memory in MiB; on a CPU, the growth of the process.
        usable_memory_mib: Available device memory in MiB.
        fits: Whether `device_memory_mib` fits in `usable_memory_mib`.
        step_seconds: Time of a step.
        patches_per_second: Throughput.
        moment: Layer at which the memory peaks.
        sum_of_outputs_mib: Variables, gradients and the outputs of all layers, in MiB.
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
    """Measurement in a separate process. Fields other than `status` and `reason` are None unless `status` is `ok`.

    Attributes:
        status: `ok`, `out_of_memory` or `failed`.
        reason: Reason for a status other than `ok`.
        host_memory_mib: Peak resident memory in MiB.
        host_memory_growth_mib: Peak resident memory minus the memory before the network was built, in MiB.
        device_memory_mib: Peak of the GPU allocator in MiB; None without a GPU.
        step_seconds, step_seconds_sd: Median and standard deviation over steps.
        patches_per_second: Throughput.
    """

    status: Literal["ok", "out_of_memory", "failed"]
    reason: Prose | None = None
    host_memory_mib: Number | None = None
    host_memory_growth_mib: Number | None = None
    device_memory_mib: Number | None = None
    step_seconds: Number | None = None
    step_seconds_sd: Number | None = None
    patches_per_second: Number | None = None


@record
class ProfiledConfiguration(Record):
    """A network, its configuration, and its predicted and measured resources.

    Attributes:
        arch, width, dimensions, channels, classes, depth, feature_maps: The network.
        patch: Voxels per axis.
        batch: Patches per step.
        mode: `train` (training steps) or `infer` (forward passes).
        engine: Inference engine.
        precision: Precision of the computation.
        accumulate, rematerialise: As in the plan.
        threads: CPU threads; None for all cores.
        steps: Number of timed steps.
        warm_up: Number of untimed steps before them.
        parameters: Number of weights.
        gflops: 10⁹ operations per step that multiply weights.
        predicted: Predicted resources; None if unknown.
        measured: Measured resources; None if not measured.
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
    """Largest batch and patch that fit a device.

    Attributes:
        arch, width: The network.
        patch: Voxels per axis.
        largest_batch: Largest batch with this patch; 0 if none fits.
        batch: Patches per step.
        largest_patch: Largest patch with this batch; None if none fits.
    """

    arch: AnyText
    width: AnyText
    patch: Shape
    largest_batch: Count
    batch: Positive
    largest_patch: Shape | None


@record
class Profile(Contract):
    """All configurations of a profile.

    Attributes:
        hardware: Machine of the measurements.
        configurations: One entry per configuration.
        limits: Largest batches and patches that fit, if the profile is only predicted.
    """

    kind: ClassVar[str] = "profile"
    schema_version: ClassVar[int] = 3
    writer: ClassVar[str | None] = "profile"
    hardware: Hardware
    configurations: Annotated[tuple[ProfiledConfiguration, ...], Field(min_length=1)]
    limits: tuple[Limit, ...] | None = absent()
