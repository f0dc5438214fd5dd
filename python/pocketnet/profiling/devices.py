"""Devices that a prediction is for: those of `devices.json`, this machine's processor, or a small file of one's own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..contracts.base import load as load_json
from ..contracts.device import DeviceFile, StepRates
from ..contracts.provenance import Hardware
from ..errors import DataError, UsageError
from .memory import Moment
from .speed import Rates

if TYPE_CHECKING:
    from .calibrate import Calibration

DEVICES = Path(__file__).parent / "devices.json"
FITTED = Path(__file__).parent / "fitted.json"
CPU, GPU = "cpu", "gpu"
GPU_CONTEXT_MIB = 600
"""Of a GPU's memory that CUDA's context and the libraries' kernels take before any tensor; not measured here."""
GPU_HOST_MIB = 4096
"""Resident memory of a process that trains on a GPU; not measured here."""
COMPUTE_EFFICIENCY = {"float32": 0.5, "mixed_float16": 0.2, "mixed_bfloat16": 0.2}
BANDWIDTH_EFFICIENCY = 0.7
SECONDS_PER_LAYER = 1e-4
"""Of a GPU whose steps nobody has measured: what is reached of its peaks, and the launch of a layer's kernels."""
EXAMPLE = ('{"kind": "gpu", "memory_mib": 24576, "bandwidth_gb_s": 936, '
           '"tflops": {"float32": 35.6, "mixed_float16": 71}}')


@dataclass(frozen=True)
class Factors:
    """From the tensors that a network's graph says are alive to the memory that a process grows by.

    Attributes:
        per_layer_mib: For each layer: its part of the executable graph.
        variables: For each byte of weights and optimiser state; their gradients are in it.
        kept: For each byte of tensors kept for the backward pass: what the allocator leaves unused, tensors that
            are freed late.
        passing: For each byte of tensors of the moment.
        workspace: For each byte of a convolution's input and output: what its kernel lays out anew. It depends on
            the processor's instructions, and a calibration measures it.
        fixed_mib: Whatever the network: an engine's own code and threads.
    """

    per_layer_mib: float
    variables: float
    kept: float
    passing: float
    workspace: float = 0.0
    fixed_mib: float = 0.0

    def bytes(self, moment: Moment, layers: float, variables: int, batch: int) -> float:
        """Memory at a moment."""
        return ((self.fixed_mib + self.per_layer_mib * layers) * 2**20 + self.variables * variables
                + (self.kept * moment.kept + self.passing * moment.passing + self.workspace * moment.workspace) * batch)


@dataclass(frozen=True)
class Device:
    """Where a network is to run.

    Attributes:
        name: `t4`, `cpu` … or a file's stem.
        title: For people.
        kind: `cpu` or `gpu`.
        memory_mib: All of it.
        reserved_mib: Of that what no tensor gets.
        rates: Seconds of a step, by precision.
        train, infer: Memory of training steps, and of inference by engine.
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
        """What a network can have."""
        return self.memory_mib - self.reserved_mib

    def precision_of(self, wanted: str) -> str:
        """The precision that it computes in: on a processor float32 for float16 (`backend.usable_precision`)."""
        return "float32" if self.kind == CPU and wanted == "mixed_float16" else wanted

    def rates_in(self, precision: str) -> Rates:
        """The rates of a precision; a processor's that nobody measured in bfloat16 are those of float32.

        Raises:
            UsageError: The device doesn't compute in it.
        """
        if self.kind == CPU and precision not in self.rates:
            return self.rates["float32"]
        if precision not in self.rates:
            raise UsageError(f"{self.title} is not known to compute in {precision}.",
                             todo=f"Use --precision {' or '.join(self.rates)}.")
        return self.rates[precision]


def names() -> list[str]:
    """The devices that are known by name."""
    return [*json.loads(DEVICES.read_text(encoding="utf-8")), CPU]


def load(name: str) -> Device:
    """A device by its name, or from a file.

    Args:
        name: One of `names()`, or the path of a JSON file: `kind` (`cpu` or `gpu`), `memory_mib`, `bandwidth_gb_s`
            (10⁹ bytes a second), `tflops` (10¹² operations a second by precision), and optionally `title`,
            `reserved_mib`, and `rates` and `workspace` as `pocket-profile --calibrate` measures them.

    Raises:
        UsageError: There is no such device.
        DataError: The file lacks a field, or one is not valid.
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
    """The machine that this runs on, its rates not yet measured: those of the machine that this was developed on."""
    import psutil

    total = psutil.virtual_memory().total / 2**20
    given = DeviceFile.from_json({"kind": CPU, "title": "this machine's processor", "memory_mib": total,
                                  "rates": _fitted()["rates"]}, FITTED)
    return _device(CPU, given, calibrated=False)


def of_this_machine() -> Device | None:
    """What the backend computes on here: the processor, or the GPU if it is one of those known by name."""
    from .. import backend

    if not backend.on_gpu():
        return this_processor()
    title = backend.gpu_name().upper()
    known = [name for name in names() if name.upper() in title]
    return load(known[0]) if known else None


def write_processor(path: str | Path, found: Calibration) -> None:
    """Write a device file of this machine's processor with what was measured, and what it was measured on."""
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
    if given.rates is not None:
        rates = {precision: Rates(**vars(values)) for precision, values in given.rates.items()}
    else:
        rates = {precision: _from_peaks(tflops, given.bandwidth_gb_s, precision)
                 for precision, tflops in given.tflops.items()}
    reserved = GPU_CONTEXT_MIB if gpu else fitted["runtime_mib"]["train"]
    infer = {engine: _factors(factors, gpu) for engine, factors in fitted["infer"].items()}
    train = _factors(fitted["train"], gpu)
    if given.workspace is not None:
        train = replace(train, workspace=given.workspace)
    return Device(
        name, given.title or name, given.processor, given.memory_mib,
        reserved if given.reserved_mib is None else given.reserved_mib, rates, train, infer,
        fitted["runtime_mib"]["infer"], calibrated and given.rates is not None)


def _factors(fitted: dict, gpu: bool) -> Factors:
    """Of a GPU's own memory what a network's code takes is no part; it lies in the process's."""
    return Factors(**fitted | ({"per_layer_mib": 0.0, "fixed_mib": 0.0} if gpu else {}))


def _from_peaks(tflops: float, bandwidth: float, precision: str) -> Rates:
    compute = 1 / (1000 * tflops * COMPUTE_EFFICIENCY[precision])
    memory = 1 / (bandwidth * BANDWIDTH_EFFICIENCY)
    return Rates(convolutions=compute, products=compute, passed=memory, weights=10 * memory,
                 layers=SECONDS_PER_LAYER)


def _fitted() -> dict:
    """What bench/predict.py fitted on measured configurations."""
    return json.loads(FITTED.read_text(encoding="utf-8"))
