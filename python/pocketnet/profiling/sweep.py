"""Measure configurations one after another, each in its own process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, cast

from ..contracts.profile import Measured, Predicted, ProfiledConfiguration
from ..contracts.provenance import Hardware
from ..text import parse_json
from . import child
from .configuration import Configuration

CHILD = "pocketnet.profiling.child"


def measure(configuration: Configuration) -> tuple[ProfiledConfiguration, Hardware | None]:
    """Measure one configuration in fresh processes.

    Returns:
        An entry of `profile.json`, and the hardware (None if the process ended before it reported it). The status is
        `out_of_memory` if the configuration does not fit on the device or the kernel killed the process, and `failed`
        for any other error. Both have a `reason`, and None for values that were not measured.
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


def _run(folder: Path, stage: str) -> dict[str, Any] | None:
    """Run one stage and return its result; None if it succeeded and measured nothing."""
    ran = subprocess.run([sys.executable, "-m", CHILD, str(folder), stage], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, errors="replace")
    if ran.returncode == 0:
        return _read(folder / child.MEASURED)
    if ran.returncode == -signal.SIGKILL:
        return child.out_of_memory("the process was killed, probably because the machine ran out of memory")
    if ran.returncode == -signal.SIGABRT and "bad_alloc" in ran.stderr:
        return child.out_of_memory("the machine ran out of memory (std::bad_alloc)")
    lines = [line for line in ran.stderr.splitlines() if line.strip()]
    return {"status": "failed", "reason": (lines[-1] if lines else f"ended with {ran.returncode}")[:300]}


def _read(path: Path) -> dict[str, Any] | None:
    return parse_json(path.read_bytes()) if path.is_file() else None


def entry(configuration: Configuration, described: dict[str, Any],
          measured: dict[str, Any] | None = None) -> ProfiledConfiguration:
    """Build an entry of `profile.json`.

    Args:
        configuration: What was predicted or measured.
        described: `parameters`, `gflops`, `predicted` and the `precision` used; missing values become None.
        measured: Result of the measuring process, if any.
    """
    network = configuration.network
    engine = measured.pop("engine", None) if measured else None
    predicted = described.get("predicted")
    return ProfiledConfiguration(
        arch=network.arch, width=network.width, dimensions=cast("Literal[2, 3]", network.dimensions),
        channels=network.channels, classes=network.classes, depth=network.depth, feature_maps=network.feature_maps,
        patch=configuration.patch, batch=configuration.batch,
        mode=cast("Literal['train', 'infer']", configuration.mode),
        engine=engine or (configuration.engine if configuration.mode == "infer" else None),
        precision=described.get("precision", configuration.precision),
        accumulate=configuration.accumulate, rematerialise=configuration.rematerialise,
        threads=configuration.threads, steps=configuration.steps, warm_up=configuration.warm_up,
        parameters=described.get("parameters"), gflops=described.get("gflops"),
        predicted=Predicted(**predicted) if predicted else None, measured=Measured(**measured) if measured else None)
