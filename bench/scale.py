"""How does a run's cost grow with its cases? Tiny made cases through the real pipeline, every one predicted.

Runs `main.nf` three times: with 10,000 and 1,000 cases in batches of 100, and with 100 in batches of 10. The first
two show what grows with the cases (CPU per case, the head process, inodes, scheduler calls), and the last two the fixed
cost of a task. Times of tasks are CPU seconds, so that a busy machine disturbs them little. Run it with
`make bench-scale`; the last line is one JSON object. docs/scale.md has the figures and what they say about 100,000
cases.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import psutil

CLONE = Path(__file__).resolve().parents[1]
SHAPE = (20, 16, 12)
STEPS = ("SCAN", "READ", "CHECK", "PLAN", "PREPROCESS", "TRAIN", "INFER", "EVALUATE", "JOIN", "CARD", "COMPARE",
         "REPORT", "COLLECT")
LISTS = {"READ": "cases.json", "PREPROCESS": "manifest.json", "INFER": "manifest.json", "EVALUATE": "manifest.json"}
"""The steps in batches, each with the file that lists the cases of a task."""
SQUEUE_SECONDS = 30  # conf/slurm.config: queueStatInterval
BOUND = {"inodes_per_case": 15, "head_peak_mib": 1024, "task_overhead_cpu_seconds": 1.0,
         "cpu_per_case_against_fewer": 1.0, "longest_script_bytes": 10_000}


def make_dataset(folder: Path, cases: int) -> None:
    """Write a decathlon folder of noisy balls with a core, a few kB a case."""
    grid = np.indices(SHAPE)
    entries = []
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for index in range(cases):
        rng = np.random.default_rng(index)
        centre = [n / 2 + rng.uniform(-1.5, 1.5) for n in SHAPE]
        radius = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)))
        label = np.where(radius < 2, 2, np.where(radius < 4.5, 1, 0)).astype(np.uint8)
        image = (100 + 60 * (label > 0) + 80 * (label == 2) + rng.normal(0, 10, SHAPE)).astype(np.uint8)
        name = f"ball_{index:06d}.nii.gz"
        for part, data in (("imagesTr", image), ("labelsTr", label)):
            packed = gzip.compress(nibabel.Nifti1Image(data, np.eye(4)).to_bytes(), 1)
            (folder / part / name).write_bytes(packed)
        entries.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    (folder / "dataset.json").write_text(json.dumps({
        "modality": {"0": "MRI"}, "labels": {"0": "background", "1": "ball", "2": "core"},
        "numTraining": cases, "training": entries}))


def run(folder: Path, cases: int, cases_per_task: int, profile: str, cpus: int) -> dict:
    """Run the pipeline on made cases and give its figures.

    Args:
        folder: An empty folder, for the data and everything that the run leaves.
        cases_per_task: The pipeline's parameter.
        cpus: Tasks at a time, where memory allows it; each takes one core.
        profile: `standard`, or `slurm` where one runs; then the calls of its commands are counted.
    """
    make_dataset(folder / "data", cases)
    (folder / "raw.config").write_text("trace.raw = true\n")
    command = [str(CLONE / "bin/nextflow"), "-c", "raw.config", "run", str(CLONE / "main.nf"), "-ansi-log", "false",
               "-profile", profile, "--dataset", "hippocampus", "--input", str(folder / "data"), "--folds", "2",
               "--width", "pocket", "--skip_profile", "--patch", "16,16,8", "--batch", "2", "--epochs", "1",
               "--steps_per_epoch", "4", "--train_cpus", "1", "--max_cpus", str(cpus),
               "--cases_per_task", str(cases_per_task)]
    calls = folder / "scheduler_calls"
    environment = os.environ | {"PATH": f"{_counting(folder / 'bin', calls)}:{os.environ['PATH']}"}
    started = time.monotonic()
    head = {"peak_mib": 0.0, "cpu_seconds": 0.0}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            try:
                watched = psutil.Process(process.pid)
                head = {"peak_mib": max(head["peak_mib"], watched.memory_info().rss / 2**20),
                        "cpu_seconds": sum(watched.cpu_times()[:2])}
            except psutil.NoSuchProcess:
                break
            time.sleep(0.5)
    wall = time.monotonic() - started
    if process.wait():
        sys.exit((folder / "log").read_text()[-4000:])
    return {"cases": cases, "cases_per_task": cases_per_task, "profile": profile, "wall_seconds": round(wall),
            "evaluated": _evaluated(folder), "head": {key: round(value, 1) for key, value in head.items()},
            "steps": steps(folder), "left": left(folder), "scheduler_calls": _counts(calls)}


def _counting(folder: Path, calls: Path) -> Path:
    """Commands of SLURM that write down each call before they do it; an empty folder where there is no SLURM."""
    folder.mkdir()
    for name in ("sbatch", "squeue", "scancel", "sacct"):
        if real := shutil.which(name):
            (folder / name).write_text(f'#!/bin/sh\necho {name} >> {calls}\nexec {real} "$@"\n')
            (folder / name).chmod(0o755)
    return folder


def _counts(calls: Path) -> dict[str, int]:
    names = calls.read_text().split() if calls.exists() else []
    return {name: names.count(name) for name in sorted(set(names))}


def _evaluated(folder: Path) -> int:
    """Cases with metrics at the end."""
    with open(folder / "results/hippocampus/comparison/metrics.csv", newline="") as handle:
        return len({row["case"] for row in csv.DictReader(handle)})


def tasks(folder: Path) -> list[dict]:
    """Every task: its step, cases, CPU and wall seconds, what Nextflow adds around it, peak memory in MiB."""
    trace = next(folder.glob("results/*/pipeline_info/trace_*.txt"))
    found = []
    with open(trace, newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            work, wall = Path(row["workdir"]), int(row["realtime"]) / 1000
            step = row["name"].split(" ")[0].split(":")[-1]
            found.append({
                "step": step, "wall": wall,
                "cases": len(json.loads((work / LISTS[step]).read_text())["cases"]) if step in LISTS else 0,
                "cpu": wall * float(row["%cpu"] or 0) / 100, "around": int(row["duration"]) / 1000 - wall,
                "start": int(row["start"]) / 1000, "end": int(row["complete"]) / 1000,
                "peak_mib": int(row["peak_rss"] or 0) / 2**20, "script": (work / ".command.sh").stat().st_size,
                "inodes": sum(1 for _ in work.rglob("*"))})
    return found


def steps(folder: Path) -> dict[str, dict]:
    """Figures by step."""
    every = tasks(folder)
    out = {}
    for step in STEPS:
        of_step = [task for task in every if task["step"] == step]
        if of_step:
            out[step] = {
                "tasks": len(of_step), "cases": sum(task["cases"] for task in of_step),
                "wall_seconds": round(max(t["end"] for t in of_step) - min(t["start"] for t in of_step), 1),
                "cpu_seconds": round(sum(task["cpu"] for task in of_step), 1),
                "around_a_task_seconds": round(float(np.median([task["around"] for task in of_step])), 2),
                "peak_mib": round(max(task["peak_mib"] for task in of_step)),
                "script_bytes": sum(task["script"] for task in of_step),
                "longest_script_bytes": max(task["script"] for task in of_step),
                "inodes": sum(task["inodes"] for task in of_step)}
    return out


def left(folder: Path) -> dict[str, int]:
    """What a run leaves: inodes under work/ and results/, bytes of Nextflow's cache, log and report."""
    report = next(folder.glob("results/*/pipeline_info/report_*.html"))
    return {"work_inodes": sum(1 for _ in (folder / "work").rglob("*")),
            "results_inodes": sum(1 for _ in (folder / "results").rglob("*")),
            "cache_bytes": sum(p.stat().st_size for p in (folder / ".nextflow").rglob("*") if p.is_file()),
            "log_bytes": (folder / ".nextflow.log").stat().st_size, "report_bytes": report.stat().st_size}


def costs(large: dict, small: dict) -> dict[str, dict]:
    """CPU seconds of a task and of a case of it, from two runs with other numbers of cases in a task."""
    out = {}
    for step in LISTS:
        a, b = (run["steps"].get(step) for run in (large, small))
        if a and b:
            per_task = [(s["cases"] / s["tasks"], s["cpu_seconds"] / s["tasks"]) for s in (a, b)]
            slope = (per_task[0][1] - per_task[1][1]) / (per_task[0][0] - per_task[1][0])
            out[step] = {"task_cpu_seconds": round(per_task[1][1] - slope * per_task[1][0], 2),
                         "case_cpu_seconds": round(slope, 4)}
    return out


def cpu_per_case(run: dict) -> float:
    """CPU seconds of all tasks and of the head process, per case."""
    return (sum(step["cpu_seconds"] for step in run["steps"].values()) + run["head"]["cpu_seconds"]) / run["cases"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000, help="cases of the large run")
    parser.add_argument("--fewer", type=int, default=1000, help="cases of the run that it is compared with")
    parser.add_argument("--cases-per-task", type=int, default=100)
    parser.add_argument("--small", type=int, default=100, help="cases of the small run")
    parser.add_argument("--small-per-task", type=int, default=10)
    parser.add_argument("--profile", default="standard", choices=("standard", "slurm"))
    parser.add_argument("--cpus", type=int, default=len(os.sched_getaffinity(0)), help="tasks at a time")
    given = parser.parse_args()
    runs = []
    for cases, size in ((given.small, given.small_per_task), (given.fewer, given.cases_per_task),
                        (given.cases, given.cases_per_task)):
        with tempfile.TemporaryDirectory(prefix="pocket-scale-") as folder:
            runs.append(run(Path(folder), cases, size, given.profile, given.cpus))
        one = runs[-1]
        print(f"\n{cases} cases, {size} a task: {one['wall_seconds']} s, {cpu_per_case(one):.4f} CPU s a case, "
              f"head {one['head']}, left {one['left']}, scheduler calls {one['scheduler_calls']}")
        for step, row in one["steps"].items():
            print(f"{step:11}", *(f"{key} {value:<8}" for key, value in row.items()), flush=True)
    small, fewer, large = runs
    cost = costs(fewer, small)
    submitted = sum(step["tasks"] for step in large["steps"].values())
    figures = {"runs": runs, "cost": cost, "submissions": {"one a task": submitted, "squeue": round(
        large["wall_seconds"] / SQUEUE_SECONDS)}}
    measured = {"inodes_per_case": round(large["left"]["work_inodes"] / large["cases"], 2),
                "head_peak_mib": large["head"]["peak_mib"],
                "task_overhead_cpu_seconds": max(step["task_cpu_seconds"] for step in cost.values()),
                "cpu_per_case_against_fewer": round(cpu_per_case(large) / cpu_per_case(fewer), 3),
                "longest_script_bytes": max(step["longest_script_bytes"] for step in large["steps"].values())}
    ok = (all(run["evaluated"] == run["cases"] for run in runs)
          and all(measured[key] <= bound for key, bound in BOUND.items()))
    print(json.dumps({"figures": figures, "measured": measured, "bound": BOUND, "ok": ok}))


if __name__ == "__main__":
    main()
