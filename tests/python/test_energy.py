"""Energy: the counters that Linux and NVIDIA's driver show, an estimate without them, and what is said of both."""

from __future__ import annotations

import ctypes
import threading
import time
from pathlib import Path

import pytest
from pocketnet import energy
from pocketnet.contracts import costs
from pocketnet.contracts.energy import Energy, total
from pocketnet.errors import DataError

RANGE = 262_143_328_850
ZONES = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram", "intel-rapl:1": "package-1",
         "intel-rapl:2": "psys", "intel-rapl-mmio:0": "package-0"}
ESTIMATE = {"processor_kwh": 0.5, "processor": "estimated", "watts_per_core": 10.0}


@pytest.fixture
def powercap(tmp_path) -> Path:
    """The folder of a machine with two processors, as Linux shows it."""
    (tmp_path / "intel-rapl").mkdir()  # the control type, which is no zone
    for zone, name in ZONES.items():
        (tmp_path / zone).mkdir()
        for file, text in (("name", name), ("energy_uj", "0"), ("max_energy_range_uj", RANGE)):
            (tmp_path / zone / file).write_text(f"{text}\n")
    return tmp_path


def use(powercap: Path, **joules) -> None:
    """Set the counters of zones, `p0`, `p1`, `dram` and others, in J."""
    short = {"p0": "intel-rapl:0", "p1": "intel-rapl:1", "core": "intel-rapl:0:0", "dram": "intel-rapl:0:1",
             "psys": "intel-rapl:2", "mmio": "intel-rapl-mmio:0"}
    for name, value in joules.items():
        (powercap / "new").write_text(f"{round(value * 1e6)}\n")
        (powercap / "new").replace(powercap / short[name] / "energy_uj")  # whole, as Linux shows it: a thread reads it


def test_processors_and_their_memory_are_added_and_nothing_twice(powercap):
    use(powercap, p0=100, p1=200, dram=50, core=80, psys=900, mmio=100)
    meter = energy.Meter(processors=energy.rapl(powercap), devices=[])
    use(powercap, p0=1100, p1=2200, dram=150, core=900, psys=9000, mmio=1100)
    found = Energy.from_json(meter.read())
    assert found.processor_kwh == pytest.approx((1000 + 2000 + 100) / 3.6e6) and found.measured
    assert found.words == "measured, RAPL, all programs" and found.kwh == found.processor_kwh
    meter.stop()


def test_a_counter_that_starts_again_goes_on(powercap):
    use(powercap, p0=RANGE / 1e6 - 10)
    meter = energy.Meter(processors=energy.rapl(powercap), devices=[])
    use(powercap, p0=30)
    assert meter.read()["processor_kwh"] == pytest.approx(40 / 3.6e6)
    use(powercap, p0=50)
    assert meter.lap()["processor_kwh"] == pytest.approx(60 / 3.6e6)
    use(powercap, p0=55)
    assert meter.lap()["processor_kwh"] == pytest.approx(5 / 3.6e6)
    meter.stop()


def test_counters_are_read_meanwhile_so_that_none_starts_again_twice(powercap, monkeypatch):
    monkeypatch.setattr(energy, "SECONDS", 0.01)
    counters = energy.rapl(powercap)
    meter = energy.Meter(processors=counters, devices=[])
    for joules in (RANGE / 1e6 * 0.75, RANGE / 1e6 * 0.5):  # the second: once around
        use(powercap, p0=joules)
        deadline = time.monotonic() + 20
        while counters[0]._last != round(joules * 1e6) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert meter.read()["processor_kwh"] == pytest.approx(1.5 * RANGE / 1e6 / 3.6e6)
    meter.stop()
    deadline = time.monotonic() + 20
    while any(one.name == "energy" for one in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(one.name == "energy" for one in threading.enumerate())


@pytest.mark.parametrize("spoil", [
    lambda root: [path.unlink() for path in root.glob("*/energy_uj")], lambda root: use(root, p0=1) or [
        (root / zone / "energy_uj").write_text("?") for zone in ZONES],
    lambda root: [(root / zone / "name").write_text("psys") for zone in ZONES]])
def test_without_readable_counters_it_is_an_estimate(powercap, spoil):
    spoil(powercap)
    assert energy.rapl(powercap) == [] == energy.rapl(powercap / "nothing")
    meter = energy.Meter(watts_per_core=4.5, processors=energy.rapl(powercap), devices=[])
    began = energy.cpu_seconds()
    while energy.cpu_seconds() - began < 0.1:
        sum(range(10_000))
    found = Energy.from_json(meter.read())
    assert found.processor_kwh * 3.6e6 / 4.5 == pytest.approx(energy.cpu_seconds() - began, abs=0.09)
    assert not found.measured and found.words == "estimated, CPU time × 4.5 W per core"


def test_a_counter_that_goes_leaves_an_estimate(powercap):
    meter = energy.Meter(processors=energy.rapl(powercap), devices=[])
    (powercap / "intel-rapl:1/energy_uj").unlink()
    assert meter.read()["processor"] == "estimated"
    meter.stop()


class Driver:
    """NVIDIA's management library with GPUs that have used so many mJ; -1 for one that does not tell."""

    def __init__(self, *used: int):
        self.used = list(used)

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number, handle) -> int:
        handle._obj.value = number.value + 1
        return 0 if number.value < len(self.used) else 2

    def nvmlDeviceGetHandleByUUID(self, name, handle) -> int:
        handle._obj.value = int(name.decode().rpartition("-")[2]) + 1
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: ctypes.c_void_p, out) -> int:
        out._obj.value = max(0, self.used[(handle.value or 0) - 1])
        return 3 if self.used[(handle.value or 0) - 1] < 0 else 0


@pytest.mark.parametrize("visible, joules", [("", 7), ("1", 5), ("1,0", 7), ("GPU-abc-1", 5)])
def test_the_gpus_that_are_used_are_counted(monkeypatch, visible, joules):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    driver, count = Driver(1000, 2000, 3000), 2 if visible in ("", "1,0") else 1
    meter = energy.Meter(count, processors=[], devices=energy.nvml(count, driver))
    driver.used = [3000, 7000, 9000]
    found = Energy.from_json(meter.read())
    assert found.gpu_kwh == pytest.approx(joules / 3.6e6) and found.kwh == found.processor_kwh + found.gpu_kwh
    assert found.words.endswith("; GPU measured, NVML")


def test_a_gpu_whose_energy_is_not_told_makes_the_whole_unknown(monkeypatch):
    monkeypatch.setattr(energy, "NVML", "no-such-library.so")
    assert energy.nvml(1) == [] == energy.nvml(2, Driver(1000)) == energy.nvml(1, Driver(-1))
    found = Energy.from_json(energy.Meter(1, processors=[]).read())
    assert found.gpu == "unknown" and found.kwh is None and not found.measured


def test_a_sum_is_an_estimate_if_a_part_is_and_unknown_if_one_is():
    measured = Energy(1.0, "rapl", gpu_kwh=2.0, gpu="nvml")
    assert total([measured, measured]) == Energy(2.0, "rapl", gpu_kwh=4.0, gpu="nvml")
    assert total([measured, Energy(**ESTIMATE)]) == Energy(1.5, "estimated", 10.0, 2.0, "nvml")
    assert total([measured, Energy(1.0, "rapl", gpu="unknown")]).kwh is None
    assert total([measured, None]) is None and total([]) is None


@pytest.mark.parametrize("value", [
    {"processor_kwh": 1.0, "processor": "estimated"}, {"processor_kwh": 1.0, "processor": "rapl", "watts_per_core": 1},
    {"processor_kwh": 1.0, "processor": "rapl", "gpu": "nvml"}, {"processor_kwh": -1, "processor": "rapl"}])
def test_parts_that_disagree_are_refused(value):
    with pytest.raises(DataError):
        Energy.from_json(value)


def test_the_table_of_costs_is_read_as_it_was_written(tmp_path):
    rows = [costs.Cost("a,b", 1.5, Energy(**ESTIMATE)), costs.Cost("c", 2.0, Energy(0.25, "rapl", None, 0.5, "nvml"))]
    costs.write(tmp_path / "costs.csv", rows)
    assert list(costs.read(tmp_path / "costs.csv").values()) == rows and costs.read(tmp_path / "no.csv") == {}
    (tmp_path / "costs.csv").write_text("case,seconds\na,quick\n")
    with pytest.raises(DataError, match=r"cannot be read(?s:.*)costs\.csv"):
        costs.read(tmp_path / "costs.csv")
