"""Predict memory and time of a configuration on a device from the network's graph, without running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..errors import DataError
from ..models.network import Network
from . import graph, memory, speed
from .configuration import Configuration
from .devices import GPU, GPU_HOST_MIB, Device
from .fused import trained, without_upsampled

MIB = 2**20
MOST = 1e30
"""No prediction is larger, in bytes, MiB or seconds."""
TENSORFLOW = "tensorflow"
ACCUMULATED_SLOTS, ACCUMULATED_LAYERS = 3, 1.35
"""Accumulation adds a separate function for the optimiser's update. It holds this many more tensors per weight, because
it receives all gradients at once, and enlarges the executable graph by this factor. Both are fitted to the
configurations under `fit`, `accumulated` in bench/predict.json."""


@dataclass(frozen=True)
class Prediction:
    """Predicted memory and time of a training step or a forward pass.

    Attributes:
        memory_mib: Peak device memory; on a CPU, the growth of the process.
        host_mib: Peak resident memory of the process.
        step_seconds: Time of one step.
        gflops: 10⁹ floating-point operations per step that multiply by weights.
        parameters: Number of parameters of the network.
        moment: The layer at which memory peaks.
        sum_of_outputs_mib: The common estimate: variables, gradients, and every layer's output once.
    """

    memory_mib: float
    host_mib: float
    step_seconds: float
    gflops: float
    parameters: int
    moment: str
    sum_of_outputs_mib: float


def predict(configuration: Configuration, device: Device) -> Prediction:
    """Predict one configuration.

    Raises:
        UsageError: The network cannot be built, or the device has no rates for the precision.
        DataError: The device's numbers predict no time, or more memory or time than there can be.
    """
    precision = device.precision_of(configuration.precision)
    nodes = nodes_of(configuration.network, configuration.patch, precision)
    train = configuration.mode == "train"
    held, moment = _held(nodes, configuration, device)
    batch, rematerialise = configuration.batch, configuration.rematerialise
    work = (speed.training_work(stepped(nodes, rematerialise, device.kind), batch, rematerialise) if train
            else speed.inference_work(computed(nodes, engine_of(configuration, device)), batch))
    rates = device.rates_in(precision)
    variables = memory.variables(nodes, slots=1 + slots_of(configuration) if train else 0)
    process = device.reserved_mib if train else device.runtime_mib[engine_of(configuration, device)]
    seconds = rates.seconds(work)
    if not (0 < seconds < MOST and held + process < MOST and device.usable_mib < MOST):
        raise DataError(f"The numbers of this device predict {held / MIB:.3g} MiB and {seconds:.3g} s for a step.",
                        where=device.name, todo="Correct its rates, workspace and memory_mib.")
    return Prediction(
        held / MIB, GPU_HOST_MIB if device.kind == GPU else process + held / MIB, seconds,
        work.gflops, graph.parameters(nodes), moment,
        (variables + memory.sum_of_outputs(nodes) * configuration.batch) / MIB)


def describe(configuration: Configuration, device: Device) -> dict[str, Any]:
    """Return a prediction in the form used in `profile.json`: `precision`, `parameters`, `gflops`, `predicted`."""
    found = predict(configuration, device)
    precision = device.precision_of(configuration.precision)
    return {"precision": precision, "parameters": found.parameters, "gflops": round(found.gflops, 3), "predicted": {
        "device": device.name, "calibrated": device.calibrated, "host_memory_mib": round(found.host_mib, 1),
        "device_memory_mib": round(found.memory_mib, 1), "usable_memory_mib": round(device.usable_mib, 1),
        "fits": found.memory_mib <= device.usable_mib, "step_seconds": round(found.step_seconds, 6),
        "patches_per_second": round(configuration.batch / found.step_seconds, 3), "moment": found.moment,
        "sum_of_outputs_mib": round(found.sum_of_outputs_mib, 1)}}


def engine_of(configuration: Configuration, device: Device) -> str:
    """Return the inference engine: the configured one if the device has it, else OpenVINO (CPU) or TensorFlow (GPU)."""
    if configuration.engine in device.infer:
        return configuration.engine
    return TENSORFLOW if device.kind == GPU else "openvino"


def computed(nodes: Sequence[graph.Node], engine: str) -> Sequence[graph.Node]:
    """Return the layers that an engine computes in a forward pass."""
    return nodes if engine == TENSORFLOW else without_upsampled(nodes)


def stepped(nodes: Sequence[graph.Node], rematerialise: bool, kind: str) -> Sequence[graph.Node]:
    """Return the layers that a training step computes on a kind of device (`training.compile.stepping`).

    Its memory is predicted from the plain graph, which fits the measured memory of both forms.
    """
    return nodes if kind == GPU or rematerialise else trained(nodes)


def slots_of(configuration: Configuration) -> int:
    """Count the tensors that the optimiser keeps per weight: Adam's moments, summed gradients, a moving average."""
    return 2 + (configuration.accumulate > 1) + (configuration.average_decay is not None)


@lru_cache(maxsize=64)
def nodes_of(network: Network, patch: tuple[int, ...], precision: str) -> tuple[graph.Node, ...]:
    """Build the network without initialising its weights, and return its layers."""
    import keras

    from ..models.build import build

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        with keras.StatelessScope(initialize_variables=False):
            return tuple(graph.nodes(build(network, patch)))
    finally:
        keras.config.set_dtype_policy(policy)


def _held(nodes: Sequence[graph.Node], configuration: Configuration, device: Device) -> tuple[float, str]:
    """Return the peak in bytes, and the layer at which it occurs."""
    layers: float = len(nodes)
    if configuration.mode == "train":
        moments = memory.training_moments(nodes, configuration.rematerialise)
        batch, factors, slots = configuration.batch, device.train, slots_of(configuration)
        if configuration.accumulate > 1:
            slots, layers = slots + ACCUMULATED_SLOTS, layers * ACCUMULATED_LAYERS
    else:
        engine = engine_of(configuration, device)
        fused = engine != TENSORFLOW  # such an engine also processes a batch one item at a time
        moments = memory.inference_moments(computed(nodes, engine), fused)
        batch = 1 if fused else configuration.batch
        factors, slots = device.infer[engine], 0
    variables = memory.variables(nodes, slots)
    return max((factors.bytes(moment, layers, variables, batch), moment.layer) for moment in moments)


def largest_batch(configuration: Configuration, device: Device, most: int = 4096) -> int:
    """Return the largest batch that fits, or 0 if none does."""
    return _largest(lambda batch: _fits(replace(configuration, batch=batch), device), most)


def largest_patch(configuration: Configuration, device: Device) -> tuple[int, ...] | None:
    """Return the largest cube (in 2D, square) that the divisor divides and that fits with the configuration's batch."""
    step = max(configuration.network.divisor)

    def patch(times: int) -> tuple[int, ...]:
        return (step * times,) * configuration.network.dimensions

    times = _largest(lambda n: _fits(replace(configuration, patch=patch(n)), device), 4096 // step)
    return patch(times) if times else None


def _fits(configuration: Configuration, device: Device) -> bool:
    return predict(configuration, device).memory_mib <= device.usable_mib


def _largest(fits: Callable[[int], bool], most: int) -> int:
    """Return the largest number from 1 to `most` that fits, assuming that all smaller ones fit; 0 if none does."""
    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
