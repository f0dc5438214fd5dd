"""How long is a training step on a CPU, beside the same network in PyTorch?

The pocket U-Net of a plan of recipe `quick` (16 feature maps, depth 3, batch normalisation, L2 Dice, Adam) on random
patches, two threads, in float32. Ours is Keras on TensorFlow as `pocket-train` calls it, in .venv; PyTorch's, in the
benchmarks' environment, is tried with both memory layouts, plain and channels last, and the better one counts. Each way
is a process that waits; they take turns of some steps each, so that a noisy neighbour slows all alike. Run it with
`make bench-train`, which makes the environment that PyTorch needs; the last line is one JSON object.

    make bench-train BENCH_ARGS="--isa avx2"         # both without AVX-512
    make bench-train BENCH_ARGS="--processor-time"   # of one thread: also true on a busy machine
    make bench-train BENCH_ARGS="--parts"            # where our step's time goes, beside the machine's peak
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocketnet.models.network import Network

ROOT = Path(__file__).parents[1]
FEATURE_MAPS, DEPTH, CLASSES, BATCH, THREADS = 16, 3, 3, 2, 2
PATCHES = {"40×56×40": (40, 56, 40), "64×64×64": (64, 64, 64), "320×320×1": (320, 320, 1)}
"""The last is a slice of a volume, for a 2D network; PyTorch's has 2D layers."""
OURS, PLAIN, LAST = "ours (Keras, TensorFlow)", "PyTorch", "PyTorch, channels last"
UNFUSED = "ours, not fused"
BOUND = {"ratio_to_pytorch": 0.75}
WARM_UP, ROUNDS, STEPS = 3, 6, 4
ISA = {"machine": {}, "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}}
MATRIX = 2048
PARTS = {"convolution, forward": ("Conv3D",), "convolution, gradient of the kernel": ("BackpropFilter",),
         "convolution, gradient of the input": ("BackpropInput",), "normalisation": ("BatchNorm",),
         "activation": ("Relu",), "pooling": ("MaxPool",), "adding": ("Add", "BiasAdd", "ConcatV2", "Slice"),
         "softmax and loss": ("Softmax", "Exp", "Sum", "Mul", "Square", "OneHot", "Max", "Tile", "MatMul", "RealDiv",
                              "Sub", "Cast")}
"""Parts of a step, and what the names of TensorFlow's operations in them contain; the rest counts as "other". A
transposed convolution is an input's gradient."""


def network_of(patch: tuple[int, ...]) -> Network:
    """The pocket U-Net for a patch; a 2D one for a slice."""
    from pocketnet.models.network import Network

    flat = {"kernel": (3, 3, 1), "pooling": ((2, 2, 1),) * DEPTH} if patch[-1] == 1 else {}
    return Network(classes=CLASSES, depth=DEPTH, feature_maps=FEATURE_MAPS, **flat)


def ours(patch: tuple[int, ...], fuse: bool) -> tuple[Callable[[], object], int]:
    """A step of this project's training, and the network's trainable parameters."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import numpy as np
    from pocketnet import backend
    from pocketnet.models.build import build
    from pocketnet.training.compile import compile_for_training, stepping

    backend.configure(THREADS, 0)
    model = build(network_of(patch))
    compile_for_training(model, "l2_dice", 1e-3, None)
    rng = np.random.default_rng(0)
    image = rng.normal(size=(BATCH, *patch, 1)).astype(np.float32)
    label = rng.integers(0, CLASSES, (BATCH, *patch), dtype=np.uint8)
    stepper = stepping(model, rematerialise=False) if fuse else model
    return lambda: stepper.train_on_batch(image, label), sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def by_pytorch(patch: tuple[int, ...], channels_last: bool) -> tuple[Callable[[], object], int]:
    """A step of the same network, loss and optimiser in PyTorch, and its trainable parameters."""
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    flat = patch[-1] == 1
    patch = patch[:2] if flat else patch
    kinds = ((nn.Conv2d, nn.BatchNorm2d, nn.ConvTranspose2d, nn.functional.max_pool2d) if flat else
             (nn.Conv3d, nn.BatchNorm3d, nn.ConvTranspose3d, nn.functional.max_pool3d))
    conv, norm, transposed, pool = kinds

    def block(inputs: int) -> nn.Sequential:
        return nn.Sequential(*(layer for maps in (inputs, FEATURE_MAPS) for layer in (
            conv(maps, FEATURE_MAPS, 3, padding=1), norm(FEATURE_MAPS), nn.ReLU(inplace=True))))

    class PocketUNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.ModuleList(block(1 if depth == 0 else FEATURE_MAPS) for depth in range(DEPTH))
            self.bottleneck = block(FEATURE_MAPS)
            self.up = nn.ModuleList(transposed(FEATURE_MAPS, FEATURE_MAPS, 2, 2) for _ in range(DEPTH))
            self.merge = nn.ModuleList(block(2 * FEATURE_MAPS) for _ in range(DEPTH))
            self.head = conv(FEATURE_MAPS, CLASSES, 1)

        def forward(self, x):
            skips = []
            for one in self.down:
                skips.append(one(x))
                x = pool(skips[-1], 2)
            x = self.bottleneck(x)
            for up, merge in zip(self.up, self.merge, strict=True):
                x = merge(torch.cat([up(x), skips.pop()], dim=1))
            return torch.softmax(self.head(x), dim=1)

    layout = (torch.channels_last if flat else torch.channels_last_3d) if channels_last else torch.contiguous_format
    model = PocketUNet().to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    image = torch.randn(BATCH, 1, *patch).to(memory_format=layout)
    label = torch.randint(0, CLASSES, (BATCH, *patch))

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        probabilities = model(image)
        truth = torch.moveaxis(nn.functional.one_hot(label, CLASSES), -1, 1).float()
        axes = tuple(range(2, truth.ndim))
        distance = ((truth - probabilities) ** 2).sum(axes)
        loss = (distance / ((truth**2).sum(axes) + (probabilities**2).sum(axes) + 1e-6)).mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step, sum(parameter.numel() for parameter in model.parameters())


def child(way: str, patch: str) -> None:
    """Take some steps for each line on standard input; answers with the wall and processor seconds of each."""
    make = {OURS: lambda p: ours(p, True), UNFUSED: lambda p: ours(p, False),
            PLAIN: lambda p: by_pytorch(p, False), LAST: lambda p: by_pytorch(p, True)}[way]
    step, parameters = make(PATCHES[patch])
    for _ in range(WARM_UP):
        step()
    print(json.dumps({"parameters": parameters}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            begin, processor = time.perf_counter(), time.process_time()
            step()
            seconds.append((time.perf_counter() - begin, time.process_time() - processor))
        print(json.dumps(seconds), flush=True)


def measure(patch: str, other_python: Path, isa: str, processor_time: bool) -> list[dict]:
    """Every way in turn, `ROUNDS` times `STEPS` steps."""
    threads = 1 if processor_time else THREADS
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT / "python")} | ISA[isa]
    processes = {way: subprocess.Popen([other_python if way in (PLAIN, LAST) else sys.executable, __file__,
                                        "--child", way, "--patch", patch, "--threads", str(threads)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
                 for way in (OURS, UNFUSED, PLAIN, LAST)}
    parameters = {way: json.loads(process.stdout.readline())["parameters"] for way, process in processes.items()}
    assert len(set(parameters.values())) == 1, f"not the same network: {parameters}"
    seconds: dict[str, list[float]] = {way: [] for way in processes}
    for _ in range(ROUNDS):
        for way, process in processes.items():
            process.stdin.write(f"{STEPS}\n")
            process.stdin.flush()
            seconds[way] += [processor if processor_time else wall
                             for wall, processor in json.loads(process.stdout.readline())]
    for process in processes.values():
        process.stdin.close()
        process.wait()
    medians = {way: statistics.median(of) for way, of in seconds.items()}
    best = min(medians[PLAIN], medians[LAST])
    return [{"patch": patch, "isa": isa, "way": way, "parameters": parameters[way],
             "processor_seconds" if processor_time else "step_seconds": round(median, 4),
             "ratio_to_pytorch": round(median / best, 3)} for way, median in medians.items()]


def parts(patch: str) -> None:
    """Print where a step's time goes, on one thread, and the machine's peak in matrix products.

    Of each operation, the shortest of several steps counts, because other load only lengthens it.
    """
    import numpy as np

    step, _ = ours(PATCHES[patch], True)
    import tensorflow as tf
    from pocketnet.profiling import fused, predict, speed
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    for _ in range(WARM_UP):
        step()
    shortest: dict[str, float] = {}
    for _ in range(ROUNDS * STEPS // 2):
        with tempfile.TemporaryDirectory() as folder:
            with tf.profiler.experimental.Profile(folder):
                step()
            space = xplane_pb2.XSpace.FromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
        took: collections.Counter[str] = collections.Counter()
        for plane in space.planes:
            for line in plane.lines:
                for event in line.events:
                    took[plane.event_metadata[event.metadata_id].name] += event.duration_ps / 1e9
        shortest = {name: min(took[name], shortest.get(name, took[name])) for name in took
                    if name.count(":") == 1 and " " not in name}
    matrix = np.random.default_rng(0).normal(size=(MATRIX, MATRIX)).astype(np.float32)
    product = tf.function(lambda: tf.matmul(matrix, matrix))
    peak = 0.0
    for _ in range(ROUNDS * STEPS):
        begin = time.process_time()
        product()
        peak = max(peak, 2 * MATRIX**3 / (time.process_time() - begin) / 1e9)
    nodes = predict.nodes_of(network_of(PATCHES[patch]), PATCHES[patch], "float32")
    gflops = speed.training_work(fused.trained(nodes), BATCH).gflops
    of: collections.Counter[str] = collections.Counter()
    for name, milliseconds in shortest.items():
        kind = name.rpartition(":")[2]
        of[next((part for part, kinds in reversed(PARTS.items()) if any(one in kind for one in kinds)),
                "other")] += milliseconds
    total, convolved = sum(of.values()), sum(of[name] for name in PARTS if name.startswith("convolution"))
    for part, milliseconds in of.most_common():
        print(f"{part:36} {milliseconds:7.1f} ms  {milliseconds / total:5.1%}")
    print(json.dumps({"patch": patch, "milliseconds": {name: round(value, 2) for name, value in of.items()},
                      "total": round(total, 1), "gflop": round(gflops, 1), "peak_gflops": round(peak),
                      "convolutions_of_peak": round(gflops / convolved * 1e3 / peak, 3), "ok": True}))


def main() -> None:
    global THREADS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other-python", type=Path, default=ROOT / ".tools" / "bench" / "bin" / "python")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--patch", choices=PATCHES, help=argparse.SUPPRESS)
    parser.add_argument("--isa", choices=ISA, default="machine", help="instructions that oneDNN and PyTorch may use")
    parser.add_argument("--processor-time", action="store_true", help="processor seconds of one thread, not wall time")
    parser.add_argument("--parts", action="store_true", help="only where our step's time goes, on one thread")
    parser.add_argument("--threads", type=int, default=THREADS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    THREADS = 1 if args.parts else args.threads
    if args.parts:
        os.environ.update(ISA[args.isa] | {"OMP_NUM_THREADS": "1"})
        for patch in PATCHES:
            parts(patch)
        return
    if args.child:
        child(args.child, args.patch)
        return
    rows = [row for patch in PATCHES for row in measure(patch, args.other_python, args.isa, args.processor_time)]
    for row in rows:
        seconds = row.get("step_seconds", row.get("processor_seconds"))
        print(f"{row['patch']:10} {row['way']:26} {seconds:7.3f} s a step  "
              f"{row['ratio_to_pytorch']:5.2f} of PyTorch's better")
    mine = [row for row in rows if row["way"] == OURS]
    print(json.dumps({"figures": rows, "bound": BOUND,
                      "ok": all(row[name] <= bound for row in mine for name, bound in BOUND.items())}))


if __name__ == "__main__":
    main()
