"""Energy that this process uses: measured where the machine lets it be read, otherwise estimated. Nothing is sent.

Processor: Intel's and AMD's RAPL counters, which Linux shows below `/sys/class/powercap`. They are of whole processors
and their memory, so other programs of the machine count too. On most machines only root may read them, and virtual
machines have none. Without them, the energy is estimated: CPU time of this process × watts per core, as in Lannelongue
et al., Green Algorithms, Advanced Science 2021.

GPU: NVIDIA's driver counts the energy of each GPU (`nvmlDeviceGetTotalEnergyConsumption`, since Volta). Without it, the
energy of a GPU is unknown.

Source of the counters: Linux, `Documentation/power/powercap/powercap.rst`.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
WATTS_PER_CORE = 10.0
"""Default of the estimate. Thermal design power ÷ cores is 4.4 W for an AMD EPYC 7763, 8.5 W for an Intel Xeon Gold
6248R, and 11.9 W for an Intel Core i7-9700K."""
SECONDS = 30.0
"""Time between two readings: a counter starts again from 0 after some minutes."""
NVML = "libnvidia-ml.so.1"
KWH = 3.6e6
"""Joules."""


@dataclass
class Counter:
    """An energy counter that starts again from 0.

    Attributes:
        value: Its value in µJ, read now.
        wraps: Value in µJ after which it starts again; 0 if it does not.
    """

    value: Callable[[], int]
    wraps: int = 0
    joules: float = 0.0
    _last: int = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.value()

    def update(self) -> None:
        """Add what was used since the last reading."""
        now = self.value()
        self.joules += (now - self._last + (self.wraps if now < self._last else 0)) / 1e6
        self._last = now


def rapl(root: Path = POWERCAP) -> list[Counter]:
    """Return the counters of all processors and their memory; empty if there are none, or they cannot be read.

    The zones `package-<n>` have cores and caches, and `dram` is beside them. Others (`core`, `uncore`, `psys`) would
    count twice.

    Args:
        root: Folder of the power zones.
    """
    found: dict[str, Counter] = {}
    for zone in sorted(root.glob("intel-rapl:*")):
        try:
            name = (zone / "name").read_text(encoding="ascii").strip()
            if name.startswith("package") or name == "dram":
                found[zone.name] = Counter(lambda zone=zone: _number(zone / "energy_uj"),  # type: ignore[misc]
                                           _number(zone / "max_energy_range_uj"))
        except (OSError, ValueError):
            continue
    return list(found.values()) if any(name.count(":") == 1 for name in found) else []


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def nvml(count: int, library: Any = None) -> list[Counter]:
    """Return the counters of the first GPUs that this process may use; empty if the driver does not tell all of them.

    Args:
        count: Number of GPUs.
        library: NVIDIA's management library; None loads the driver's.
    """
    try:
        library = library or ctypes.CDLL(NVML)
        if library.nvmlInit_v2():
            return []
        handles = [_handle(library, name) for name in _visible(count)]
        return [Counter(lambda handle=handle: _microjoules(library, handle)) for handle in handles]  # type: ignore[misc]
    except (OSError, AttributeError):  # no driver, an older one, or a GPU that does not count
        return []


def _visible(count: int) -> Sequence[str]:
    """Return index or identifier of the GPUs, as `CUDA_VISIBLE_DEVICES` lists them."""
    listed = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    return (listed or [str(number) for number in range(count)])[:count]


def _handle(library: Any, name: str) -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    failed = (library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(int(name)), ctypes.byref(handle)) if name.isdecimal()
              else library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle)))
    if failed:
        raise OSError(f"NVML does not know the GPU {name}")
    return handle


def _microjoules(library: Any, handle: ctypes.c_void_p) -> int:
    millijoules = ctypes.c_ulonglong()
    if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
        raise OSError("NVML does not tell the energy of this GPU")
    return 1000 * millijoules.value


def cpu_seconds() -> float:
    """Return the CPU time of this process and its children that have ended, in s."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Meter:
    """Measures the energy from its start on.

    Args:
        gpus: Number of GPUs that this process uses.
        watts_per_core: For the estimate.
        processors: Counters of the processors; None for `rapl()`.
        devices: Counters of the GPUs; None for `nvml(gpus)`.
    """

    def __init__(self, gpus: int = 0, watts_per_core: float = WATTS_PER_CORE,
                 processors: list[Counter] | None = None, devices: list[Counter] | None = None):
        self._processors = rapl() if processors is None else processors
        self._devices = (nvml(gpus) if gpus else []) if devices is None else devices
        self._gpus, self._watts, self._begin = gpus, watts_per_core, cpu_seconds()
        self._lap: dict[str, Any] = {}
        self._lock, self._ended = threading.Lock(), threading.Event()
        if self._processors:
            threading.Thread(target=self._follow, name="energy", daemon=True).start()

    def read(self) -> dict[str, Any]:
        """Return the energy so far, as the fields of `contracts.energy.Energy`."""
        self._update()
        if self._processors:
            found: dict[str, Any] = {"processor_kwh": _kwh(self._processors), "processor": "rapl"}
        else:
            seconds = cpu_seconds() - self._begin
            found = {"processor_kwh": seconds * self._watts / KWH, "processor": "estimated",
                     "watts_per_core": self._watts}
        if self._gpus:
            found |= {"gpu_kwh": _kwh(self._devices), "gpu": "nvml"} if self._devices else {"gpu": "unknown"}
        return found

    def lap(self) -> dict[str, Any]:
        """Return the energy since the last call, or since the start, as `read` does."""
        before, now = self._lap, self.read()
        self._lap = now
        return {name: max(0.0, value - before.get(name, 0.0)) if name.endswith("kwh") else value
                for name, value in now.items()}

    def stop(self) -> None:
        """Stop reading the counters in the background."""
        self._ended.set()

    def _follow(self) -> None:
        while not self._ended.wait(SECONDS):
            self._update()

    def _update(self) -> None:
        with self._lock:
            for counters in (self._processors, self._devices):
                try:
                    for counter in counters:
                        counter.update()
                except (OSError, ValueError):  # a counter that is gone: what is left is estimated, or unknown
                    counters.clear()


def _kwh(counters: Sequence[Counter]) -> float:
    return sum(counter.joules for counter in counters) / KWH
