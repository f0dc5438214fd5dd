"""Where do the seconds of `make demo` go, from nothing to a report?

Clones the commit, sets it up with an empty cache of pip, and runs the demo there. Prints wall seconds and processor
seconds of the set-up, of Nextflow and of each step. Run it with `make bench-demo`; the last line is one JSON object.
docs/results/demo.md has the figures. The bounds are wall seconds on two idle cores; on a busy machine, compare
processor seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]
BOUND = {"warm_wall_seconds": 90, "cold_wall_seconds": 240}


def timed(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> dict[str, float]:
    """Run a command in a folder and return its wall seconds and the processor seconds of all its processes."""
    started, before = time.monotonic(), _processor_seconds()
    with open(folder.parent / f"{Path(command[0]).name}.log", "w+") as log:
        ended = subprocess.run(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, check=False,
                               env=os.environ | (environment or {}))
        if ended.returncode:
            log.seek(0)
            sys.exit(log.read()[-4000:])
    return {"wall": round(time.monotonic() - started, 1), "cpu": round(_processor_seconds() - before, 1)}


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def steps(folder: Path) -> dict[str, dict[str, float]]:
    """Return the number of tasks and their wall and processor seconds, by step, from the trace of the run."""
    found: dict[str, dict[str, float]] = {}
    with open(next(folder.glob("results/demo/pipeline_info/trace_*.txt")), newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            step = found.setdefault(row["name"].split(" ")[0].split(":")[-1], {"tasks": 0, "wall": 0.0, "cpu": 0.0})
            wall = int(row["realtime"]) / 1000
            step["tasks"] += 1
            step["wall"] += wall
            step["cpu"] += wall * float(row["%cpu"] or 0) / 100
    return found


def measure(folder: Path) -> dict:
    """Set up and run the demo in an empty folder; return the figures."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{CLONE}", clone], check=True)
    (folder / "raw.config").write_text("trace.raw = true\n")
    environment = {"PYTHONDONTWRITEBYTECODE": "", "PIP_CACHE_DIR": str(folder / "pip")}
    setup = timed(["make", "setup"], clone, environment)
    demo = timed(["bin/nextflow", "-c", "../raw.config", "run", "main.nf", "-profile", "demo", "-ansi-log", "false"],
                 clone, environment)
    by_step = steps(clone)
    tasks = sum(step["cpu"] for step in by_step.values())
    return {"setup": setup, "demo": demo, "nextflow": {"cpu": round(demo["cpu"] - tasks, 1)}, "steps": by_step}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="pocket-demo-") as folder:
        figures = measure(Path(folder))
    for name, row in {"set-up": figures["setup"], "Nextflow": figures["nextflow"], **figures["steps"]}.items():
        print(f"{name:11}", *(f"{key} {value:<8.4g}" for key, value in row.items()))
    warm = figures["demo"]["wall"]
    measured = {"warm_wall_seconds": warm, "cold_wall_seconds": round(figures["setup"]["wall"] + warm, 1)}
    print(json.dumps({"cores": cores, "load_before": round(load, 1), "figures": figures, "measured": measured,
                      "bound": BOUND, "ok": all(measured[key] <= bound for key, bound in BOUND.items())}))


if __name__ == "__main__":
    main()
