"""Configurations measured one after the other, each in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from ..contracts.profile import Measured, Predicted, ProfiledConfiguration
from ..contracts.provenance import Hardware
from . import child
from .configuration import Configuration

CHILD = "pocketnet.profiling.child"


def measure(configuration: Configuration) -> tuple[ProfiledConfiguration, Hardware | None]:
    """Measure one configuration in fresh processes.

    Returns:
        An entry of `profile.json`, and the hardware (None when the process ended before it could say). What does
        not fit, on the device or because the kernel ended the process, has the status `out_of_memory`; what broke
        for another reason `failed`. Both with a `reason`, and None for what wasn't measured.
    """
    with tempfile.TemporaryDirectory(prefix="pocket-profile-") as name:
        folder = Path(name)
        if configuration.trace:
            configuration = replace(configuration, trace=str(Path(configuration.trace) / _folder_name(configuration)))
        (folder / child.CONFIGURATION).write_text(json.dumps(asdict(configuration)))
        measured = None
        for stage in ("train",) if configuration.mode == "train" else ("export", "infer"):
            if stage == "infer" and not configuration.steps:
                break
            measured = _run(folder, stage)
            if measured is not None:
                break
        described = _read(folder / child.DESCRIBED) or {}
    hardware = described.get("hardware")
    return entry(configuration, described, measured), Hardware(**hardware) if hardware else None


def _folder_name(configuration: Configuration) -> str:
    network, patch = configuration.network, "x".join(map(str, configuration.patch))
    return f"{network.arch}-{network.width}-{configuration.mode}-{patch}-batch{configuration.batch}"


def _run(folder: Path, stage: str) -> dict | None:
    """One stage's result; None when it went well and had nothing to measure."""
    ran = subprocess.run([sys.executable, "-m", CHILD, str(folder), stage], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, errors="replace")
    if ran.returncode == 0:
        return _read(folder / child.MEASURED)
    if ran.returncode == -signal.SIGKILL:
        return child.out_of_memory("the process was killed, as the kernel does when the machine's memory runs out")
    if ran.returncode == -signal.SIGABRT and "bad_alloc" in ran.stderr:
        return child.out_of_memory("the machine's memory ran out (std::bad_alloc)")
    lines = [line for line in ran.stderr.splitlines() if line.strip()]
    return {"status": "failed", "reason": (lines[-1] if lines else f"ended with {ran.returncode}")[:300]}


def _read(path: Path) -> dict | None:
    return json.loads(path.read_text()) if path.is_file() else None


def entry(configuration: Configuration, described: dict, measured: dict | None = None) -> ProfiledConfiguration:
    """An entry of `profile.json`.

    Args:
        described: `parameters`, `gflops` and `predicted`, and the `precision` computed in; what is missing is None.
        measured: As `measure` finds it.
    """
    network = configuration.network
    engine = measured.pop("engine", None) if measured else None
    predicted = described.get("predicted")
    return ProfiledConfiguration(
        arch=network.arch, width=network.width, dimensions=network.dimensions, channels=network.channels,
        classes=network.classes, depth=network.depth, feature_maps=network.feature_maps,
        patch=configuration.patch, batch=configuration.batch, mode=configuration.mode,
        engine=engine or (configuration.engine if configuration.mode == "infer" else None),
        precision=described.get("precision", configuration.precision),
        accumulate=configuration.accumulate, rematerialise=configuration.rematerialise,
        threads=configuration.threads, steps=configuration.steps, warm_up=configuration.warm_up,
        parameters=described.get("parameters"), gflops=described.get("gflops"),
        predicted=Predicted(**predicted) if predicted else None, measured=Measured(**measured) if measured else None)
