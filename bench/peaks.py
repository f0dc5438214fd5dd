"""Does a training take the same memory in every process? With TensorFlow's graph optimiser (Grappler) and without.

Each a fresh process on two threads: growth of its peak of resident memory in MiB and the median time of a step in
seconds, of a pocket U-Net of 32 feature maps and depth 3, L2 Dice, Adam. `backend.configure` switches Grappler off on a
processor; this switches it on again for half of the processes. The last line is one JSON object.

    PYTHONPATH=python .venv/bin/python bench/peaks.py --patch 48 --batch 3 --processes 6
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

import numpy as np
from pocketnet import backend
from pocketnet.models.network import Network

WAYS = ("without Grappler", "with Grappler")
THREADS, STEPS = 2, 4


def measure(way: str, side: int, batch: int) -> dict:
    """Steps of a training in this process."""
    backend.configure(THREADS)
    import tensorflow as tf
    from pocketnet.models.build import build
    from pocketnet.training.compile import compile_for_training

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": way == WAYS[0]})
    before = backend.host_memory_mib()
    model = build(Network(depth=3, feature_maps=32), (side,) * 3)
    compile_for_training(model, "l2_dice", 0.001, None, None, 1)
    rng = np.random.default_rng(0)
    image = rng.normal(size=(batch, *(side,) * 3, 1)).astype(np.float32)
    label = rng.integers(0, 2, size=image.shape[:-1]).astype(np.uint8)
    seconds = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        model.train_on_batch(image, label)
        seconds.append(time.perf_counter() - begin)
    return {"way": way, "mib": round(backend.peak_host_memory_mib() - before),
            "step_seconds": round(statistics.median(seconds[1:]), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--patch", type=int, default=48)
    parser.add_argument("--batch", type=int, default=3)
    parser.add_argument("--processes", type=int, default=6, help="of each way; they take turns")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measure(given.way, given.patch, given.batch)))
        return
    found = []
    for way in WAYS * given.processes:
        command = [sys.executable, __file__, "--patch", str(given.patch), "--batch", str(given.batch), "--way", way]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(ran.stdout.splitlines()[-1]))
        print(*found[-1].values(), flush=True)
    spread = {way: [min(values), max(values)] for way in WAYS
              if (values := [one["mib"] for one in found if one["way"] == way])}
    print(json.dumps({"figures": found, "lowest_and_highest_mib": spread}))


if __name__ == "__main__":
    main()
