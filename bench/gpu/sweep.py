"""Figure 3 measured on a GPU by JAX, beside the prediction: `python bench/gpu/sweep.py` in one command.

Needs JAX, Keras and NumPy only, and a clone. Each configuration is measured in a fresh process, by the allocator's own
count (`memory_stats`), a training step as a training does it: loss, gradients, Adam. XLA compiles the step as a whole,
so its schedule is not TensorFlow's; the prediction doesn't know of it. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CLONE / "python"))
os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
MIB = 2**20


def measure(arch: str, width: str, side: int, batch: int, channels: int, precision: str, steps: int) -> dict:
    """Peak memory in MiB and the time of a step in seconds, in this process."""
    import jax
    import keras
    import numpy as np
    from pocketnet.models.build import build
    from pocketnet.models.network import Network
    from pocketnet.training.losses import l2_dice

    keras.config.set_dtype_policy(precision)
    rng = np.random.default_rng(0)
    model = build(Network(arch=arch, width=width, channels=channels, depth=depth_of(arch, side)), (side,) * 3)
    optimizer = keras.optimizers.Adam(1e-3)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer, loss=l2_dice, auto_scale_loss=False, jit_compile=True)
    image = rng.standard_normal((batch, side, side, side, channels), dtype=np.float32)
    label = rng.integers(0, 2, (batch, side, side, side), dtype=np.uint8)
    seconds = []
    for _ in range(steps + 2):  # the first two don't count: the first compiles
        begin = time.perf_counter()
        float(model.train_on_batch(image, label))
        seconds.append(time.perf_counter() - begin)
    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    return {"device": device.device_kind, "measured_seconds": float(np.median(seconds[2:])),
            "measured_mib": stats["peak_bytes_in_use"] / MIB if "peak_bytes_in_use" in stats else None}


def depth_of(arch: str, side: int) -> int:
    """As in a plan: at most the paper's, down to four voxels."""
    from pocketnet.models.network import PAPER_SHAPES

    depth = PAPER_SHAPES[arch]["depth"]
    while depth and (side % 2**depth or side // 2**depth < 4):
        depth -= 1
    return depth


def predicted(arch: str, width: str, side: int, batch: int, channels: int, precision: str, name: str) -> dict:
    """What `pocket-profile --predict --device` says."""
    from pocketnet.models.network import Network
    from pocketnet.profiling import devices, predict
    from pocketnet.profiling.configuration import Configuration

    network = Network(arch=arch, width=width, channels=channels, depth=depth_of(arch, side))
    found = predict.predict(Configuration(network, (side,) * 3, batch, precision=precision), devices.load(name))
    return {"predicted_mib": round(found.memory_mib, 1), "predicted_seconds": round(found.step_seconds, 4)}


def in_fresh_process(*arguments) -> dict:
    """`measure` in a process of its own; what does not fit has an `error`."""
    ran = subprocess.run([sys.executable, __file__, "--one", json.dumps(arguments)], capture_output=True, text=True)
    if ran.returncode == 0:
        return json.loads(ran.stdout.splitlines()[-1])
    lines = [line for line in ran.stderr.splitlines() if line.strip()]
    out_of_memory = "RESOURCE_EXHAUSTED" in ran.stderr or "out of memory" in ran.stderr.lower() or ran.returncode == -9
    return {"error": "out of memory" if out_of_memory else (lines[-1] if lines else str(ran.returncode))[:300]}


def error(one: dict, name: str) -> float | None:
    """How far the prediction is from what was measured, as a share of it."""
    measured = one.get(f"measured_{name}")
    return round(one[f"predicted_{name}"] / measured - 1, 3) if measured else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="t4", help="what the prediction is for: a name or a device file")
    parser.add_argument("--arch", default="unet", help="a list")
    parser.add_argument("--patch", default="64,128", help="sides, a list")
    parser.add_argument("--batch", default="1,2,4,8", help="a list")
    parser.add_argument("--precision", default="float32", help="a list: float32, mixed_float16, mixed_bfloat16")
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(*json.loads(given.one))))
        return
    rows = []
    for arch in given.arch.split(","):
        for precision in given.precision.split(","):
            for side in map(int, given.patch.split(",")):
                for batch in map(int, given.batch.split(",")):
                    for width in ("full", "pocket"):
                        what = (arch, width, side, batch, given.channels, precision)
                        one = dict(zip(("arch", "width", "patch", "batch", "channels", "precision"), what, strict=True))
                        one |= in_fresh_process(*what, given.steps) | predicted(*what, given.device)
                        one |= {"memory_error": error(one, "mib"), "time_error": error(one, "seconds")}
                        rows.append(one)
                        print(*(f"{key} {value}" for key, value in one.items()), flush=True)
    print(json.dumps({"figures": rows, "ok": any("error" not in one for one in rows)}))


if __name__ == "__main__":
    main()
