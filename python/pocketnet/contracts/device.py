"""Device file: memory and speed of a device to predict for. Users can write one; it has no `schema_version`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .base import Record, record
from .fields import AboveZero, NotNegative, Text, Undescribed, absent
from .plan import Precision
from .provenance import Hardware


@record
class StepRates(Record):
    """Seconds per 10⁹ operations (convolutions, products), per 10⁹ bytes (passed, weights), and per layer."""

    convolutions: NotNegative
    products: NotNegative
    passed: NotNegative
    weights: NotNegative
    layers: NotNegative


@record
class DeviceFile(Record):
    """A device.

    Attributes:
        processor: `cpu` or `gpu`.
        memory_mib: Total memory in MiB.
        title: Display name.
        reserved_mib: Memory in MiB that is not available to tensors.
        workspace: Workspace bytes per byte of a convolution's input and output.
        bandwidth_gb_s: Memory bandwidth in 10⁹ bytes per second.
        tflops: 10¹² operations per second, by precision.
        rates: Measured rates, by precision; without them `bandwidth_gb_s` and `tflops` are required.
        measured: The steps that the rates were fitted to.
        hardware: The machine that they were measured on.
    """

    processor: Annotated[Literal["cpu", "gpu"], Field(alias="kind")]
    memory_mib: AboveZero
    title: Text | None = absent()
    reserved_mib: NotNegative | None = absent()
    workspace: NotNegative | None = absent()
    bandwidth_gb_s: AboveZero | None = absent()
    tflops: Annotated[dict[Precision, AboveZero], Field(min_length=1)] | None = absent()
    rates: Annotated[dict[Precision, StepRates], Field(min_length=1)] | None = absent()
    measured: tuple[Undescribed, ...] | None = absent()
    hardware: Hardware | None = absent()

    @model_validator(mode="after")
    def _check(self) -> Any:
        speed = {"bandwidth_gb_s": self.bandwidth_gb_s, "tflops": self.tflops}
        missing = [name for name, value in speed.items() if value is None]
        if self.rates is None and missing:
            raise ValueError(f"rates, or bandwidth_gb_s and tflops; there is no {' and no '.join(missing)}")
        known = self.rates or self.tflops or {}
        if self.processor == "cpu" and "float32" not in known:
            raise ValueError("the speed of float32, which every processor computes in")
        return self
