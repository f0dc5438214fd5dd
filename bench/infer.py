"""How long does `pocket-infer` take on a CPU, and what memory, beside MONAI's `SlidingWindowInferer` on PyTorch?

- `brats`: a real case, 240×240×155 with four modalities, by a pocket U-Net (depth 5). Same weights, same 18 windows of
  128³ that overlap by a half, Gaussian, float32: MONAI with both memory layouts, plain and channels last (of time the
  faster counts, of memory the smaller), ours with `--windows plan`; and, apart, ours as it comes (`--windows auto`,
  with the crop of the BraTS preset).
- `instance`: the same case and network with instance normalisation, MONAI with the paper's windows and ours with the
  windows that data may decide on (`--windows large`).
- `start`: `--help`, and a hippocampus case from process start to file. Of the shipped network, processor seconds a case
  of 16 cases written to a folder, pictures and the start of the process included, and of a single case.
- `engines`: a 128³ window by each engine, and the machine's peak in matrix products.
- `large`: a made CT of 512×512×800 voxels with 8 labels, and one of 240×240×155 with the same model.

Ours runs in .venv as a person calls it, MONAI in the benchmarks' environment; all on two threads, in processes of their
own, of which the peak is the operating system's. The sliding window's time is of MONAI that of the inferer's call, of
ours the sum of cutting windows, network (compiling included) and merging; reading, intensity statistics, making the
network and writing count in neither, and are in `seconds` of the whole process. What a part found is kept in `--keep`,
a JSON file each; with `--resume` a part that is there is not measured again. Run it with `make bench-infer`; the last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("POCKET_TEST_DATA", ROOT.parent / "shared" / "data"))
WAYS, INFER = ROOT / "bench" / "infer_ways.py", ROOT / "bin" / "pocket-infer"
SHIPPED, SHIPPED_CASES = ROOT / "models" / "hippocampus" / "fold1", 16
THREADS = "2"
MODALITIES = ("t1n", "t1c", "t2w", "t2f")
LARGE, SMALL = (512, 512, 800), (240, 240, 155)
BOUNDS = {"plan_time": 0.6, "plan_memory": 0.6, "own_time": 0.25, "instance_time": 0.12, "labels_differ": 1e-4,
          "help_seconds": 0.5, "shipped_core_seconds": 0.9, "hippocampus_seconds": 4.0, "large_memory_gib": 4.0,
          "large_window_time": 1.1}
"""Most of each figure; the first four are shares of MONAI's."""
WINDOW_PARTS = ("resampling", "network", "merging")


@dataclass(frozen=True)
class Ran:
    """What a process came to: the JSON it printed, its wall time, its processor time, its largest resident memory."""

    said: dict
    seconds: float
    cpu_seconds: float
    peak_mib: float

    def described(self) -> dict:
        """What is kept of it. Processor time says what wall time says, also where others use the processor."""
        return {"seconds": round(self.seconds, 2), "cpu_seconds": round(self.cpu_seconds, 2),
                "peak_mib": round(self.peak_mib)}


def run(*command: str | Path) -> Ran:
    """Run a process to its end, alone."""
    environment = os.environ | {"OMP_NUM_THREADS": THREADS, "OPENBLAS_NUM_THREADS": THREADS,
                                "PYTHONPATH": str(ROOT / "python")}
    begin = time.perf_counter()
    words = [str(word) for word in command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {process.returncode}")
    lines = [line for line in text.splitlines() if line.startswith("{")]
    return Ran(json.loads(lines[-1]) if lines else {}, time.perf_counter() - begin, usage.ru_utime + usage.ru_stime,
               usage.ru_maxrss / 1024)


def infer(model: Path, output: Path, *arguments: str | Path) -> dict:
    """`pocket-infer` on one case: its case's JSON, with wall time and peak memory."""
    ran = run(INFER, "--model", model, *arguments, "-o", output, "--threads", THREADS, "--json", "--again", "--quiet")
    case = ran.said["cases"][0]
    return {"sliding_seconds": round(sum(case["parts"][name] for name in WINDOW_PARTS), 2),
            **ran.described(), "parts": case["parts"], "window": case["window"], "windows": case["windows"],
            "left_out": case["windows_left_out"], "predicted_mib": case["predicted_memory_mib"]}


def median_of(runs: list[dict]) -> dict:
    """The run in the middle by its sliding window's time."""
    return sorted(runs, key=lambda one: one["sliding_seconds"])[len(runs) // 2]


def brats(work: Path, models: Path, other: Path, rounds: int) -> dict:
    """The real case by all ways, which take turns."""
    images = {m: next((DATA / "BraTS-GLI_unlabelled").rglob(f"*{m}.nii.gz")) for m in MODALITIES}
    named = [f"{m}={path}" for m, path in images.items()]

    def monai(layout: str) -> dict:
        ran = run(other, WAYS, "monai", models / "brats.npz", layout, work / f"{layout}.nii.gz", *images.values())
        return {"sliding_seconds": round(ran.said["seconds"], 2), **ran.described()}

    ways: dict[str, Callable[[], dict]] = {
        "ours, --windows plan": lambda: infer(models / "brats", work / "plan.nii.gz", *named, "--windows", "plan"),
        "ours, --windows auto": lambda: infer(models / "brats-cropped", work / "auto.nii.gz", *named),
        "MONAI, channels last": lambda: monai("last"), "MONAI, plain": lambda: monai("plain")}
    found: dict[str, list[dict]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, measure in ways.items():
            if number == 0 or way != "MONAI, plain":  # never the best, once is enough
                found[way].append(measure())
    medians = {way: median_of(runs) for way, runs in found.items()}
    ours, own, *others = medians.values()
    best = min(other["sliding_seconds"] for other in others)
    labels = [np.asarray(nib.as_closest_canonical(nib.load(work / f"{name}.nii.gz")).dataobj)
              for name in ("plan", "last")]
    return {"ways": medians, "figures": {
        "plan_time": ours["sliding_seconds"] / best, "own_time": own["sliding_seconds"] / best,
        "plan_memory": ours["peak_mib"] / min(other["peak_mib"] for other in others),
        "labels_differ": float((labels[0] != labels[1]).mean()) if ours["windows"] == 18 else 1.0}}


def instance(work: Path, models: Path, other: Path, rounds: int) -> dict:
    """The real case by a network with instance normalisation; processor time tells on a busy machine."""
    images = {m: next((DATA / "BraTS-GLI_unlabelled").rglob(f"*{m}.nii.gz")) for m in MODALITIES}
    found: dict[str, list[dict]] = {"ours, --windows large": [], "MONAI, channels last": []}
    for _ in range(rounds):
        found["ours, --windows large"].append(
            infer(models / "brats-instance", work / "instance.nii.gz", *(f"{m}={path}" for m, path in images.items()),
                  "--windows", "large"))
        ran = run(other, WAYS, "monai", models / "brats-instance.npz", "last", work / "monai.nii.gz", *images.values())
        found["MONAI, channels last"].append({"sliding_seconds": round(ran.said["seconds"], 2), **ran.described()})
    ours, monai = (median_of(runs) for runs in found.values())
    return {"ways": {"ours, --windows large": ours, "MONAI, channels last": monai},
            "figures": {"instance_time": ours["sliding_seconds"] / monai["sliding_seconds"]}}


def start(work: Path, models: Path, other: Path, rounds: int) -> dict:
    """What a person waits for: help, and a small case."""
    helps = [run(INFER, "--help").seconds for _ in range(rounds)]
    image = DATA / "Task04_Hippocampus" / "imagesTr" / "hippocampus_190.nii.gz"
    cases = [infer(models / "hippocampus", work / "h.nii.gz", image) for _ in range(rounds)]
    case = sorted(cases, key=lambda one: one["seconds"])[rounds // 2]
    ways = {"hippocampus": case}
    for windows in ("auto", "padded"):
        for number in (1, SHIPPED_CASES):
            images = sorted(image.parent.glob("hippocampus_*.nii.gz"))[:number]
            ran = [run(INFER, "--model", SHIPPED, *images, "-o", work / f"shipped-{windows}-{number}", "--windows",
                       windows, "--threads", THREADS, "--json", "--again", "--quiet").cpu_seconds
                   for _ in range(rounds)]
            ways[f"shipped, --windows {windows}, {number}"] = {"cpu_seconds_a_case": statistics.median(ran) / number}
    ways["shipped, processor seconds by part"] = run(sys.executable, WAYS, "case", SHIPPED, image).said
    return {"ways": ways, "figures": {
        "help_seconds": statistics.median(helps), "hippocampus_seconds": case["seconds"],
        "shipped_core_seconds": ways[f"shipped, --windows auto, {SHIPPED_CASES}"]["cpu_seconds_a_case"]}}


def large(work: Path, models: Path, other: Path, rounds: int) -> dict:
    """A volume that would not fit as a whole, to its end. A window's time is that of 128³ voxels, whatever its size."""
    found = {}
    for name, shape in (("small", SMALL), ("large", LARGE)):
        image = work / f"{name}.nii.gz"
        run(sys.executable, WAYS, "ct", DATA / "CT_abdomen_sample" / "ct.nii.gz", image, *map(str, shape))
        found[name] = case = infer(models / "ct", work / "segmented.nii.gz", image)
        case["window_seconds"] = case["sliding_seconds"] / case["windows"] * 128**3 / np.prod(case["window"])
        image.unlink()
    return {"ways": found, "figures": {
        "large_memory_gib": found["large"]["peak_mib"] / 1024,
        "large_window_time": found["large"]["window_seconds"] / found["small"]["window_seconds"]}}


def engines(work: Path, models: Path, other: Path, rounds: int) -> dict:
    """One window by each engine; what share of the machine's peak that is."""
    run(ROOT / "bin" / "pocket-export", "--model", models / "brats", "-o", models / "brats.onnx",
        "--quiet")
    peak = run(sys.executable, WAYS, "peak", models).said
    found = {}
    for engine in ("OpenVINO", "OpenVINO, decoder not fused", "ONNX Runtime", "TensorFlow", "PyTorch",
                   "PyTorch, channels last"):
        ours = not engine.startswith("PyTorch")
        ran = run(sys.executable if ours else other, WAYS, "pass", engine, models)
        rate = peak["gflops_fused" if engine == "OpenVINO" else "gflops_a_window"] / ran.said["seconds"]
        found[engine] = {"seconds": round(ran.said["seconds"], 2), "peak_mib": round(ran.peak_mib),
                         "gflops_a_second": round(rate, 1), "share_of_peak": round(rate / peak["gflops_a_second"], 3)}
    return {"ways": found, "machine": {name: round(value, 1) for name, value in peak.items()}, "figures": {}}


PARTS = {"brats": brats, "instance": instance, "start": start, "engines": engines, "large": large}


def table(part: str, found: dict) -> None:
    for way, values in found["ways"].items():
        shown = "  ".join(f"{key} {value:g}" for key, value in values.items() if isinstance(value, int | float))
        print(f"{part:8} {way:28} {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other-python", type=Path, default=ROOT / ".tools" / "bench" / "bin" / "python")
    parser.add_argument("--parts", default=",".join(PARTS), help="Some of them only. Default: %(default)s.")
    parser.add_argument("--rounds", type=int, default=3, help="The median counts. Default: %(default)s.")
    parser.add_argument("--keep", type=Path, default=ROOT / "results" / "bench-infer")
    parser.add_argument("--resume", action="store_true", help="Take what --keep has.")
    args = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"no data at {DATA}; set POCKET_TEST_DATA")
    args.keep.mkdir(parents=True, exist_ok=True)
    wanted = args.parts.split(",")
    with tempfile.TemporaryDirectory(prefix="bench-infer-") as folder:
        work = Path(folder)
        results = {}
        for part in wanted:
            kept = args.keep / f"{part}.json"
            if not (args.resume and kept.is_file()):
                if not (work / "models").exists():
                    run(sys.executable, WAYS, "models", work / "models")
                kept.write_text(json.dumps(PARTS[part](work, work / "models", args.other_python, args.rounds)))
            results[part] = json.loads(kept.read_text())
            table(part, results[part])
    figures = {name: round(value, 5) for found in results.values() for name, value in found["figures"].items()}
    rows = [{"figure": name, "value": value, "bound": BOUNDS[name], "ok": value <= BOUNDS[name]}
            for name, value in figures.items()]
    print(json.dumps({"figures": rows, "parts": results, "ok": all(row["ok"] for row in rows)}))


if __name__ == "__main__":
    main()
