"""Target devices of predictions: those in `devices.json`, this machine's processor, or a device file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from ..contracts.base import load as load_json
from ..contracts.device import DeviceFile, StepRates
from ..contracts.provenance import Hardware
from ..errors import DataError, UsageError
from .memory import Moment
from .speed import Calibration, Rates

DEVICES = Path(__file__).parent / "devices.json"
FITTED = Path(__file__).parent / "fitted.json"
CPU: Literal["cpu"] = "cpu"
GPU: Literal["gpu"] = "gpu"
GPU_CONTEXT_MIB = 600
"""GPU memory used by the CUDA context and library kernels before any tensor; an assumption, not measured."""
GPU_HOST_MIB = 4096
"""Resident memory of a process that trains on a GPU; an assumption, not measured."""
COMPUTE_EFFICIENCY = {"float32": 0.5, "mixed_float16": 0.2, "mixed_bfloat16": 0.2}
BANDWIDTH_EFFICIENCY = 0.7
SECONDS_PER_LAYER = 1e-4
"""Assumptions for GPUs without measured rates: achieved fractions of the peak values, and launch time per layer."""
EXAMPLE = ('{"kind": "gpu", "memory_mib": 24576, "bandwidth_gb_s": 936, '
           '"tflops": {"float32": 35.6, "mixed_float16": 71}}')


@dataclass(frozen=True)
class Factors:
    """Factors that convert the sizes of live tensors in a network's graph to the memory growth of a process.

    Attributes:
        per_layer_mib: MiB per layer, for the executable graph.
        variables: Per byte of weights and optimiser state; includes the gradients of the weights.
        kept: Per byte of tensors kept for the backward pass; includes unused allocator memory and tensors freed
            late.
        transient: Per byte of transient tensors.
        workspace: Per byte of a convolution's input and output, for copies in another memory layout. It depends on
            the processor's instruction set; a calibration measures it.
        fixed_mib: MiB independent of the network, for an engine's code and threads.
    """

    per_layer_mib: float
    variables: float
    kept: float
    transient: float
    workspace: float = 0.0
    fixed_mib: float = 0.0

    def bytes(self, moment: Moment, layers: float, variables: int, batch: int) -> float:
        """Return the memory growth at a moment, in bytes."""
        return ((self.fixed_mib + self.per_layer_mib * layers) * 2**20 + self.variables * variables
                + batch * (self.kept * moment.kept + self.transient * moment.transient
                           + self.workspace * moment.workspace))


@dataclass(frozen=True)
class Device:
    """A device on which a network runs.

    Attributes:
        name: `t4`, `cpu` … or the file name without extension.
        title: Display name.
        kind: `cpu` or `gpu`.
        memory_mib: Total memory.
        reserved_mib: Part of the memory that tensors cannot use.
        rates: Rates that give the time of a step, by precision.
        train, infer: Memory factors of training steps, and of inference by engine.
        runtime_mib: Resident memory of a process that has loaded an engine, by engine.
        calibrated: Whether the rates were measured on it.
    """

    name: str
    title: str
    kind: str
    memory_mib: float
    reserved_mib: float
    rates: dict[str, Rates]
    train: Factors
    infer: dict[str, Factors]
    runtime_mib: dict[str, float]
    calibrated: bool

    @property
    def usable_mib(self) -> float:
        """Memory available to a network, in MiB."""
        return self.memory_mib - self.reserved_mib

    def precision_of(self, wanted: str) -> str:
        """Return the precision used; a CPU replaces float16 by float32 (`backend.usable_precision`)."""
        return "float32" if self.kind == CPU and wanted == "mixed_float16" else wanted

    def rates_in(self, precision: str) -> Rates:
        """Return the rates of a precision; a CPU without measured bfloat16 rates uses those of float32.

        Raises:
            UsageError: The device has no rates for this precision.
        """
        if self.kind == CPU and precision not in self.rates:
            return self.rates["float32"]
        if precision not in self.rates:
            raise UsageError(f"There are no rates for {precision} on {self.title}.",
                             todo=f"Use --precision {' or '.join(self.rates)}.")
        return self.rates[precision]


def names() -> list[str]:
    """List the names of the built-in devices."""
    return [*json.loads(DEVICES.read_text(encoding="utf-8")), CPU]


def load(name: str) -> Device:
    """Load a device by name or from a file.

    Args:
        name: One of `names()`, or the path of a JSON file: `kind` (`cpu` or `gpu`), `memory_mib`, `bandwidth_gb_s`
            (10⁹ bytes per second), `tflops` (10¹² operations per second, by precision), and optionally `title`,
            `reserved_mib`, and the `rates` and `workspace` measured by `pocket-profile --calibrate`.

    Raises:
        UsageError: No device or file has this name.
        DataError: The file lacks a field, or a field is invalid.
    """
    known = json.loads(DEVICES.read_text(encoding="utf-8"))
    if name in known:
        return _device(name, DeviceFile.from_json(known[name], DEVICES))
    if name == CPU:
        return this_processor()
    if Path(name).suffix != ".json":
        raise UsageError(f"Unknown device '{name}'.",
                         todo=f"Use one of {', '.join(names())}, or a device file: {EXAMPLE}")
    try:
        given = DeviceFile.from_json(load_json(name, "device file"), name, "device file")
    except UsageError as error:
        raise UsageError(error.what, where=name, todo=f"Write one like {EXAMPLE}") from None
    except DataError as error:
        raise DataError("This device file cannot be used." if error.problems else error.what, problems=error.problems,
                        where=name, todo=f"Write it like {EXAMPLE}") from None
    return _device(Path(name).stem, given)


def this_processor() -> Device:
    """Return this machine's processor, uncalibrated: its rates come from the machine of the original fit."""
    import psutil

    total = psutil.virtual_memory().total / 2**20
    given = DeviceFile.from_json({"kind": CPU, "title": "this machine's processor", "memory_mib": total,
                                  "rates": _fitted()["rates"]}, FITTED)
    return _device(CPU, given, calibrated=False)


def of_this_machine() -> Device | None:
    """Return the device that the backend uses: the processor, or the GPU; None if the GPU is not built in."""
    from .. import backend

    if not backend.on_gpu():
        return this_processor()
    title = backend.gpu_name().upper()
    known = [name for name in names() if name.upper() in title]
    return load(known[0]) if known else None


def write_processor(path: str | Path, found: Calibration) -> None:
    """Write a device file for this machine's processor, with the calibration and the hardware."""
    import psutil

    from .. import backend
    from ..files import write_text

    hardware = backend.hardware()
    value = DeviceFile(
        CPU, psutil.virtual_memory().total / 2**20, title=hardware["cpu"], workspace=found.workspace,
        rates={"float32": StepRates(**asdict(found.rates))}, measured=tuple(asdict(one) for one in found.timed),
        hardware=Hardware(**hardware))
    write_text(path, json.dumps(value.to_json(), indent=1) + "\n")


def _device(name: str, given: DeviceFile, calibrated: bool = True) -> Device:
    fitted = _fitted()
    gpu = given.processor == GPU
    rates: dict[str, Rates]
    if given.rates is not None:
        rates = {precision: Rates(**vars(values)) for precision, values in given.rates.items()}
    else:
        rates = {precision: _from_peaks(tflops, cast(float, given.bandwidth_gb_s), precision)
                 for precision, tflops in cast("dict[str, float]", given.tflops).items()}
    reserved = GPU_CONTEXT_MIB if gpu else fitted["runtime_mib"]["train"]
    infer = {engine: _factors(factors, gpu) for engine, factors in fitted["infer"].items()}
    train = _factors(fitted["train"], gpu)
    if given.workspace is not None:
        train = replace(train, workspace=given.workspace)
    return Device(
        name, given.title or name, given.processor, given.memory_mib,
        reserved if given.reserved_mib is None else given.reserved_mib, rates, train, infer,
        fitted["runtime_mib"]["infer"], calibrated and given.rates is not None)


def _factors(fitted: dict[str, Any], gpu: bool) -> Factors:
    """Build factors. On a GPU, code lives in host memory and is not counted."""
    return Factors(**fitted | ({"per_layer_mib": 0.0, "fixed_mib": 0.0} if gpu else {}))


def _from_peaks(tflops: float, bandwidth: float, precision: str) -> Rates:
    compute = 1 / (1000 * tflops * COMPUTE_EFFICIENCY[precision])
    memory = 1 / (bandwidth * BANDWIDTH_EFFICIENCY)
    return Rates(convolutions=compute, products=compute, passed=memory, weights=10 * memory,
                 layers=SECONDS_PER_LAYER)


def _fitted() -> dict[str, Any]:
    """Read the factors that bench/predict.py fitted to measured configurations."""
    return json.loads(FITTED.read_text(encoding="utf-8"))
