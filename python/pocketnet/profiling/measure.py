"""Measure memory and time of training steps and forward passes in this process. Call it in a fresh process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backend
from .configuration import Configuration

if TYPE_CHECKING:
    import keras

    from ..inference.engines import Engine


def training_step(model: keras.Model, configuration: Configuration) -> dict[str, Any]:
    """Run training steps on random patches and measure them.

    Args:
        model: A built model, not compiled.
        configuration: Batch, patch, precision and steps to run.

    Returns:
        See `timed`.
    """
    from ..training.compile import compile_for_training, stepping

    rng = np.random.default_rng(configuration.seed)
    image = _image(rng, configuration)
    label = rng.integers(0, configuration.network.classes, (configuration.batch, *model.output_shape[1:-1]),
                         dtype=np.uint8)
    compile_for_training(model, configuration.loss, configuration.learning_rate, configuration.clip_norm,
                         configuration.average_decay, configuration.accumulate)
    stepper = stepping(model, configuration.rematerialise)
    return timed(lambda: stepper.train_on_batch(image, label), configuration)


def forward_pass(engine: Callable[[np.ndarray], np.ndarray], configuration: Configuration) -> dict[str, Any]:
    """Run forward passes on a random batch and measure them.

    Args:
        engine: An inference engine, as created by `pocket-infer`.
        configuration: Batch, patch and steps to run.

    Returns:
        See `timed`.
    """
    image = _image(np.random.default_rng(configuration.seed), configuration)
    return timed(lambda: engine(image), configuration)


def timed(step: Callable[[], object], configuration: Configuration) -> dict[str, Any]:
    """Time steps after the warm-up. If a trace is requested, run one more step in TensorFlow's profiler.

    Returns:
        `step_seconds` (median), `step_seconds_sd`, `patches_per_second` (batch divided by the median).
    """
    seconds = []
    for _ in range(configuration.warm_up + configuration.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    steady = np.array(seconds[configuration.warm_up:])
    median = float(np.median(steady))
    if configuration.trace:
        backend.traced(step, configuration.trace)
    return {"step_seconds": round(median, 6),
            "step_seconds_sd": round(float(steady.std(ddof=1)) if len(steady) > 1 else 0.0, 6),
            "patches_per_second": round(configuration.batch / median, 3)}


def memory(before_mib: float, device: bool = True) -> dict[str, Any]:
    """Return the peak memory of this process.

    Args:
        before_mib: Resident memory before the network was built, in MiB.
        device: Whether the backend is in use.

    Returns:
        `host_memory_mib` (peak resident memory), `host_memory_growth_mib` (the peak minus `before_mib`) and
        `device_memory_mib` (peak of the backend's GPU allocator; None without a GPU).
    """
    peak = backend.peak_host_memory_mib()
    return {"host_memory_mib": round(peak, 1), "host_memory_growth_mib": round(max(0.0, peak - before_mib), 1),
            "device_memory_mib": backend.peak_device_memory_mib() if device else None}


def inference_engine(folder: Path, configuration: Configuration) -> tuple[Engine, float]:
    """Create the engine that `pocket-infer` would use; also return the resident memory before that, in MiB."""
    from ..inference import engines

    chosen = engines.choose(configuration.engine, folder)
    if chosen == "openvino":
        import openvino  # noqa: F401  (loaded first, so that its size does not count as the network's)
    else:
        backend.configure(configuration.threads)
    before = backend.host_memory_mib()
    return engines.make(chosen, folder, configuration.patch, configuration.network.channels,
                        configuration.threads), before


def _image(rng: np.random.Generator, configuration: Configuration) -> np.ndarray:
    shape = (configuration.batch, *configuration.patch, configuration.network.channels)
    return rng.standard_normal(shape, dtype=np.float32)
