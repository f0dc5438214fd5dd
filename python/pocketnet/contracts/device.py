"""A device file: memory and speed of what a prediction is for. People write it; it has no `schema_version`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .base import Record, record
from .fields import AboveZero, NotNegative, Text, Undescribed, absent
from .plan import Precision
from .provenance import Hardware


@record
class StepRates(Record):
    """Seconds for each 10⁹ operations of convolutions and of products, 10⁹ bytes passed and of weights, and layer."""

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
        memory_mib: All of it.
        title: For people.
        reserved_mib: Of the memory what no tensor gets.
        workspace: Bytes for each byte of a convolution's input and output.
        bandwidth_gb_s: 10⁹ bytes a second.
        tflops: 10¹² operations a second, by precision.
        rates: As measured, by precision; without them `bandwidth_gb_s` and `tflops` are needed.
        measured: The steps that the rates are from.
        hardware: What they were measured on.
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
