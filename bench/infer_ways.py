"""What `bench/infer.py` starts, each in a process of its own: `python bench/infer_ways.py WAY …`.

| way | Python | what |
|---|---|---|
| `models` | ours | model folders with random weights, and the same weights for PyTorch |
| `ct` | ours | a made CT of any size: the real sample, enlarged |
| `monai` | the benchmarks' | a case by MONAI's `SlidingWindowInferer` |
| `pass` | both | seconds of a forward pass by one engine |
| `case` | ours | processor seconds of each part of a case by a network |
| `peak` | ours | the machine's most float32 operations a second, in matrix products |

Each prints one JSON object. Imports stand inside the functions, so that a process holds only what its way needs.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

THREADS = 2
DEPTH, MAPS = 5, 32
PATCH = (128, 128, 128)
MODALITIES = ("t1n", "t1c", "t2w", "t2f")
CT_LABELS = 8
CT_CONSTANTS = [{"modality": "CT", "mean": 40.0, "std": 80.0, "p0_5": -150.0, "p99_5": 250.0}]
SOURCES = {"brats": MODALITIES, "brats-cropped": MODALITIES, "brats-instance": MODALITIES, "ct": ("CT",),
           "hippocampus": ("MRI",)}
PASSES = 3


def models(folder: str) -> None:
    """Model folders as `pocket-train` leaves them, of networks that were not trained but whose statistics are real."""
    from pocketnet import backend

    backend.configure(THREADS)
    import keras
    from pocketnet.models.build import build

    root = Path(folder)
    for name, modalities in SOURCES.items():
        plan = _plan(name, modalities)
        keras.utils.set_random_seed(0)  # both of brats get the same weights
        network = build(plan.network.network("unet", "pocket"))
        _settle(network, plan)
        _write(root / name, network, plan)
    for name in ("brats", "brats-instance"):
        _for_pytorch(root / name / "model.keras", root / f"{name}.npz")
    print(json.dumps({"parameters": {name: json.loads((root / name / "provenance.json").read_text())["parameters"]
                                     for name in SOURCES}}))


def _plan(name: str, modalities: tuple[str, ...]):
    """The paper's plan for 128³ patches; for the hippocampus recipe `quick`'s."""
    from pocketnet.contracts.plan import Plan

    labels = {"ct": CT_LABELS, "hippocampus": 2}.get(name, 3)
    depth, maps, patch = (3, 16, (40, 56, 40)) if name == "hippocampus" else (DEPTH, MAPS, PATCH)
    return Plan.from_json({
        "dataset": name, "recipe": "paper", "seed": 0, "modalities": list(modalities),
        "labels": [{"name": f"label {n}", "value": n, "source_values": [n]} for n in range(1, labels + 1)],
        "preprocessing": {"crop": "none" if name in ("ct", "brats") else "nonzero", "spacing_mm": None,
                          "normalisation": "window" if name == "ct" else "zscore"},
        "network": {"dimensions": 3, "channels": len(modalities), "classes": labels + 1, "depth": depth,
                    "feature_maps": maps, "pooling": [[2, 2, 2]] * depth,
                    "norm": "instance" if name == "brats-instance" else "batch", "skip": "concatenate"},
        "training": {"patch": list(patch), "batch": 2, "epochs": 1, "steps_per_epoch": 1, "loss": "l2_dice",
                     "optimizer": "adam", "learning_rate": 0.001, "plateau_factor": 0.9, "plateau_patience": 9,
                     "clip_norm": None, "foreground_fraction": 0.0,
                     "augmentation": {"flip": 0.5, "noise": 0.2, "blur": 0.2, "noise_sd": [0.0, 0.1],
                                      "blur_sigma": [0.0, 1.0]}},
        "inference": {"overlap": 0.5, "gaussian_sigma": 0.125, "largest_component": name != "brats"},
    })


def _settle(network, plan) -> None:
    """Give batch normalisations the statistics of smooth noise, so that the classes vary as a trained network's do."""
    import keras
    import numpy as np
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    side = tuple(min(64, n) for n in plan.training.patch)
    image = np.stack([gaussian_filter(rng.normal(size=side), 4) for _ in range(plan.network.channels)], axis=-1)
    image = (image / image.std())[None].astype(np.float32)
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    network(image, training=True)
    for layer in norms:
        layer.momentum = 0.99


def _write(folder: Path, network, plan) -> None:
    from pocketnet import backend
    from pocketnet.contracts.provenance import Provenance
    from pocketnet.models.export import export_openvino
    from pocketnet.training.model_folder import write_records

    folder.mkdir(parents=True)
    network.save(folder / "model.keras")
    export_openvino(network, folder)
    constants = CT_CONSTANTS if plan.dataset == "ct" else [
        {"modality": m, "mean": 0.0, "std": 1.0, "p0_5": 0.0, "p99_5": 1.0} for m in plan.modalities]
    write_records(folder, plan, Provenance.from_json({
        "dataset": plan.dataset, "arch": "unet", "width": "pocket", "fold": 0, "recipe": plan.recipe, "seed": 0,
        "parameters": network.count_params(), "steps": 0, "run_key": "bench", "code": "bench", "version": "bench",
        "versions": backend.versions(), "hardware": backend.hardware(),
        "attempts": [{"first_step": 0, "last_step": 0, "seconds": 0.0, "ended": "finished"}], "wall_seconds": 0.0,
        "peak_host_memory_mib": 0.0, "peak_device_memory_mib": None, "validation_loss": None,
        "intensity": constants}), "")


def _for_pytorch(model: Path, path: Path) -> None:
    """The weights by PyTorch's names of `_pocket_unet`, in its order of axes."""
    import numpy as np
    from pocketnet.models.build import load

    def block(name: str, to: str) -> dict:
        out = {}
        for i, at in ((1, 0), (2, 3)):
            kernel, bias = layers[f"{name}_conv{i}"]
            scale, shift, *statistics = layers[f"{name}_norm{i}"]
            out |= {f"{to}.{at}.weight": np.moveaxis(kernel, (4, 3), (0, 1)), f"{to}.{at}.bias": bias,
                    f"{to}.{at + 1}.weight": scale, f"{to}.{at + 1}.bias": shift}
            out |= {f"{to}.{at + 1}.running_{what}": value
                    for what, value in zip(("mean", "var"), statistics, strict=False)}  # none of instance normalisation
        return out

    layers = {layer.name: layer.get_weights() for layer in load(model).layers}
    found = block("bottleneck", "bottleneck")
    for depth in range(DEPTH):
        found |= block(f"encoder{depth}", f"down.{depth}") | block(f"decoder{depth}", f"merge.{DEPTH - 1 - depth}")
        kernel, bias = layers[f"up{depth}"]
        found |= {f"up.{DEPTH - 1 - depth}.weight": np.moveaxis(kernel, (4, 3), (0, 1)),
                  f"up.{DEPTH - 1 - depth}.bias": bias}
    kernel, bias = layers["logits"]
    np.savez(path, **found, **{"head.weight": np.moveaxis(kernel, (4, 3), (0, 1)), "head.bias": bias})


def _pocket_unet(weights: str):
    """The same network in PyTorch, with the weights that Keras has."""
    import numpy as np
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)

    with np.load(weights) as found:
        state = {name: torch.from_numpy(np.ascontiguousarray(found[name])) for name in found.files}
    batch = "bottleneck.1.running_mean" in state

    def norm() -> nn.Module:
        return nn.BatchNorm3d(MAPS, eps=1e-3) if batch else nn.InstanceNorm3d(MAPS, eps=1e-3, affine=True)

    def block(inputs: int) -> nn.Sequential:
        return nn.Sequential(*(layer for maps in (inputs, MAPS) for layer in (
            nn.Conv3d(maps, MAPS, 3, padding=1), norm(), nn.ReLU(inplace=True))))

    class PocketUNet(nn.Module):
        def __init__(self, channels: int, classes: int):
            super().__init__()
            self.down = nn.ModuleList(block(MAPS if depth else channels) for depth in range(DEPTH))
            self.bottleneck = block(MAPS)
            self.up = nn.ModuleList(nn.ConvTranspose3d(MAPS, MAPS, 2, 2) for _ in range(DEPTH))
            self.merge = nn.ModuleList(block(2 * MAPS) for _ in range(DEPTH))
            self.head = nn.Conv3d(MAPS, classes, 1)

        def forward(self, x):
            skips = []
            for one in self.down:
                skips.append(one(x))
                x = nn.functional.max_pool3d(skips[-1], 2)
            x = self.bottleneck(x)
            for up, merge in zip(self.up, self.merge, strict=True):
                x = merge(torch.cat([up(x), skips.pop()], dim=1))
            return torch.softmax(self.head(x), dim=1)

    model = PocketUNet(state["down.0.0.weight"].shape[1], state["head.weight"].shape[0]).eval()
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and all("batches" in key for key in missing.missing_keys), missing
    return model


def monai(weights: str, layout: str, output: str, *images: str) -> None:
    """A case by MONAI: z-scores of what is not zero, 128³ windows that overlap by a half, argmax.

    The windows' weights are ours: MONAI's Gaussian is the same but for its floor, a thousandth of the middle's.
    """
    import nibabel as nib
    import numpy as np
    import torch
    from monai.inferers import SlidingWindowInferer
    from monai.transforms import NormalizeIntensity
    from pocketnet.inference.windows import gaussian_weight

    memory = torch.channels_last_3d if layout == "last" else torch.contiguous_format
    model = _pocket_unet(weights).to(memory_format=memory)
    files = [nib.as_closest_canonical(nib.load(path)) for path in images]
    image = np.stack([np.asarray(file.dataobj, dtype=np.float32) for file in files])
    image = NormalizeIntensity(nonzero=True, channel_wise=True)(image).as_tensor()[None].to(memory_format=memory)
    infer = SlidingWindowInferer(PATCH, sw_batch_size=1, overlap=0.5, mode="gaussian", sigma_scale=0.125)
    infer.roi_weight_map = torch.from_numpy(gaussian_weight(PATCH, 0.125))
    begin = time.perf_counter()
    with torch.inference_mode():
        probabilities = infer(image, model)
    seconds = time.perf_counter() - begin
    classes = probabilities[0].argmax(dim=0).numpy().astype(np.uint8)
    nib.save(nib.Nifti1Image(classes, files[0].affine), output)
    print(json.dumps({"seconds": seconds}))


def ct(source: str, output: str, *shape: str) -> None:
    """The real CT enlarged to a shape, as whole numbers in HU, 0.8 mm × 0.8 mm × 1 mm."""
    import numpy as np
    from pocketnet.preprocessing import geometry
    from pocketnet.preprocessing.resample import resample

    grid = geometry.Grid(tuple(map(int, shape)), np.diag([0.8, 0.8, 1.0, 1.0]))
    data = np.rint(geometry.read(source).data).astype(np.int16)
    geometry.write_image(output, resample(data, grid.shape), grid)
    print(json.dumps({"mib": os.path.getsize(output) / 2**20}))


def forward_pass(engine: str, models_folder: str) -> None:
    """Median seconds of a 128³ window by one engine, after one that does not count."""
    import numpy as np

    folder = Path(models_folder)
    image = np.random.default_rng(0).normal(size=(1, *PATCH, len(MODALITIES))).astype(np.float32)
    run = _engines()[engine](folder)
    run(image)
    seconds = []
    for _ in range(PASSES):
        begin = time.perf_counter()
        run(image)
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"seconds": statistics.median(seconds)}))


def _engines() -> dict:
    def ours(name: str, fuse: bool = True):
        def make(folder: Path):
            from pocketnet.inference import engines, openvino_graph

            if not fuse:
                openvino_graph.fuse_skips = lambda graph: 0
            return engines.make(name, folder / "brats", PATCH, len(MODALITIES), THREADS)
        return make

    def onnxruntime(folder: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
        session = onnxruntime.InferenceSession(folder / "brats.onnx", options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda image: session.run(None, {name: image})[0]

    def pytorch(last: bool):
        def make(folder: Path):
            import torch

            memory = torch.channels_last_3d if last else torch.contiguous_format
            model = _pocket_unet(str(folder / "brats.npz")).to(memory_format=memory)

            def run(image):
                with torch.inference_mode():
                    return model(torch.from_numpy(image).movedim(-1, 1).contiguous(memory_format=memory)).numpy()
            return run
        return make

    return {"OpenVINO": ours("openvino"), "OpenVINO, decoder not fused": ours("openvino", False),
            "TensorFlow": ours("tensorflow"), "ONNX Runtime": onnxruntime, "PyTorch": pytorch(False),
            "PyTorch, channels last": pytorch(True)}


def case(model: str, image: str) -> None:
    """Processor seconds of each part of a case, from the start of Python; a second case shows what is only once."""
    found, last = {}, 0.0

    def lap(part: str) -> None:
        nonlocal last
        now = time.process_time()
        found[part], last = round(now - last, 3), now

    import numpy as np

    lap("Python, NumPy")
    import openvino  # noqa: F401
    from pocketnet.inference import batch, engines, picture, predictor  # noqa: F401
    from pocketnet.preprocessing.scan import read_scan

    lap("other libraries")
    network = predictor.Predictor.load(model, threads=THREADS)
    lap("model folder, its checksums")
    scan = read_scan([image])
    network.findings(scan)
    lap("reading, comparison with the training images")
    plan = network.model.plan
    patch = np.zeros((1, *plan.training.patch, plan.network.channels), np.float32)
    engine = engines.make("openvino", network.model.path, plan.training.patch, plan.network.channels, THREADS)
    engine(patch)
    lap("compiling, with one window")
    engine(patch)
    lap("one window")
    classes = network.segment(scan).classes
    lap("first case")
    network.segment(scan)
    lap("second case")
    target = Path(os.environ.get("TMPDIR", "/tmp")) / f"bench-case-{os.getpid()}.png"
    picture.draw_picture(target, scan, classes, plan.labels, {label.name: 0.0 for label in plan.labels}, "case")
    target.unlink()
    lap("picture")
    print(json.dumps(found))


def peak(models_folder: str) -> None:
    """The best of several float32 matrix products of 4096 on two threads, by NumPy and by OpenVINO.

    And the 10⁹ operations of a window, of the network as it is and as it is computed with its decoder fused.
    """
    import numpy as np
    import openvino
    from openvino import opset13 as op
    from pocketnet.inference import openvino_graph

    a = np.random.default_rng(0).normal(size=(4096, 4096)).astype(np.float32)
    given = op.parameter([4096, 4096], np.float32)
    product = openvino.Core().compile_model(
        openvino.Model([op.matmul(given, op.constant(a), False, False)], [given]), "CPU",
        {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": THREADS})
    rates = {}
    for name, run in (("numpy", lambda: a @ a), ("openvino", lambda: product([a]))):
        seconds = []
        for _ in range(6):
            begin = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begin)
        rates[name] = 2 * 4096**3 / min(seconds) / 1e9
    graph = openvino.Core().read_model(Path(models_folder) / "brats" / "model.xml")
    openvino_graph.free_sizes(graph)
    graph.reshape([1, *PATCH, len(MODALITIES)])
    whole = _gflops(graph)
    openvino_graph.fuse_skips(graph)
    print(json.dumps({"gflops_a_second": max(rates.values()), "gflops_a_window": whole, "gflops_fused": _gflops(graph),
                      **{f"gflops_a_second_{name}": rate for name, rate in rates.items()}}))


def _gflops(graph) -> float:
    """10⁹ operations of a graph's convolutions: a multiplication and an addition a weight and place."""
    import math

    total = 0
    for node in graph.get_ordered_ops():
        kind = node.get_type_name()
        if kind in ("Convolution", "ConvolutionBackpropData"):
            at = node.get_output_shape(0) if kind == "Convolution" else node.get_input_shape(0)
            total += 2 * math.prod(node.get_input_shape(1)) * math.prod(list(at)[2:])
    return total / 1e9


if __name__ == "__main__":
    {"models": models, "ct": ct, "monai": monai, "pass": forward_pass, "case": case,
     "peak": peak}[sys.argv[1]](*sys.argv[2:])
