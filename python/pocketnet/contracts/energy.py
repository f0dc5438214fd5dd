"""Energy of a training or a prediction, measured or estimated: a part of `provenance.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import model_validator

from .base import Record, record
from .fields import AboveZero, NotNegative, absent


@record
class Energy(Record):
    """Energy in kWh; `energy.Meter` says how it is found.

    Attributes:
        processor_kwh: Of processors and their memory.
        processor: `rapl`: measured, for whole processors with all programs; `estimated`: CPU time × `watts_per_core`.
        watts_per_core: Watts per core of the estimate.
        gpu_kwh: Of the GPUs; absent if none was used, or it is unknown.
        gpu: `nvml`: measured; `unknown`; absent if no GPU was used.
    """

    processor_kwh: NotNegative
    processor: Literal["rapl", "estimated"]
    watts_per_core: AboveZero | None = absent()
    gpu_kwh: NotNegative | None = absent()
    gpu: Literal["nvml", "unknown"] | None = absent()

    @model_validator(mode="after")
    def _check(self) -> Any:
        if (self.processor == "estimated") != (self.watts_per_core is not None):
            raise ValueError("watts_per_core of an estimate, and only then")
        if (self.gpu == "nvml") != (self.gpu_kwh is not None):
            raise ValueError("gpu_kwh if gpu is nvml, and only then")
        return self

    @property
    def kwh(self) -> float | None:
        """Energy of processors and GPUs; None if the GPUs' is unknown."""
        return None if self.gpu == "unknown" else self.processor_kwh + (self.gpu_kwh or 0)

    @property
    def measured(self) -> bool:
        """Whether all of it was measured."""
        return self.processor == "rapl" and self.gpu != "unknown"

    @property
    def words(self) -> str:
        """How it was found."""
        how = "RAPL, all programs" if self.processor == "rapl" else f"CPU time × {self.watts_per_core:g} W per core"
        gpu = {"nvml": "; GPU measured, NVML", "unknown": "; GPU unknown", None: ""}[self.gpu]
        return f"{'measured' if self.processor == 'rapl' else 'estimated'}, {how}{gpu}"


def total(several: Sequence[Energy | None]) -> Energy | None:
    """Return the sum; None if a part is not known. It is an estimate, or unknown, if a part is."""
    known = [one for one in several if one is not None]
    if not known or len(known) < len(several):
        return None
    estimates = {one.watts_per_core for one in known if one.watts_per_core is not None}
    gpus = {one.gpu for one in known if one.gpu is not None}
    gpu = None if not gpus else "unknown" if "unknown" in gpus else "nvml"
    return Energy(
        sum(one.processor_kwh for one in known), "estimated" if estimates else "rapl",
        max(estimates, default=None), sum(one.gpu_kwh or 0 for one in known) if gpu == "nvml" else None,
        gpu)  # type: ignore[arg-type]  # one of the two


def mean_kwh(several: Sequence[Energy | None]) -> float | None:
    """Return the mean in kWh; None if one is not known, or there are none."""
    found = total(several)
    return None if found is None or found.kwh is None else found.kwh / len(several)
