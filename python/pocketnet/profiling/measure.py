"""Memory and time of a training step, measured in this process (call it in a fresh one)."""

from __future__ import annotations

import time

import keras
import numpy as np

from .. import backend
from ..config import SEGMENTATION, Plan
from ..errors import DeviceMemoryError
from ..training.losses import LOSSES

WARM_UP = 2


def training_step(model: keras.Model, plan: Plan, steps: int) -> dict:
    """Run training steps on random patches and measure them.

    Args:
        model: Built, not compiled.
        steps: Steps to time, after `WARM_UP` more.

    Returns:
        `host_memory_mib` (peak resident), `device_memory_mib` (the allocator's peak; None on a CPU),
        `step_seconds` (median), `step_seconds_sd`, `patches_per_second`.

    Raises:
        DeviceMemoryError: The device's memory does not hold a step.
    """
    settings = plan.training
    rng = np.random.default_rng(plan.seed)
    image = rng.standard_normal((settings.batch, *settings.patch, plan.network.channels), dtype=np.float32)
    shape = (settings.batch, *(settings.patch if plan.task == SEGMENTATION else ()))
    label = rng.integers(0, plan.network.classes, shape, dtype=np.uint8)
    model.compile(optimizer=keras.optimizers.Adam(settings.learning_rate), loss=LOSSES[settings.loss],
                  jit_compile=backend.on_gpu() and backend.name() != "tensorflow")
    seconds = []
    try:
        for _ in range(WARM_UP + steps):
            start = time.perf_counter()
            model.train_on_batch(image, label)
            seconds.append(time.perf_counter() - start)
    except Exception as error:
        if backend.is_out_of_memory(error):
            raise DeviceMemoryError(f"A step of batch {settings.batch} and patch {settings.patch} does not fit in "
                                    "the device's memory.", todo="Use a smaller --batch or --patch.") from error
        raise
    steady = np.array(seconds[WARM_UP:])
    median = float(np.median(steady))
    return {"host_memory_mib": round(backend.peak_host_memory_mib(), 1),
            "device_memory_mib": backend.peak_device_memory_mib(), "step_seconds": round(median, 4),
            "step_seconds_sd": round(float(steady.std(ddof=1)) if steps > 1 else 0.0, 4),
            "patches_per_second": round(settings.batch / median, 2)}
