"""Do the predictions of memory and time hold? Each configuration measured in a fresh process, beside its prediction.

`make bench-predict` measures the configurations listed under `test` in `bench/predict.json`, which nothing was fitted
to, and calibrates this processor in under a minute; the last line is one JSON object. `--fit`
measures those under `fit` instead and writes the factors of `python/pocketnet/profiling/fitted.json`. An entry is
architecture, width, patch side and batch; the depth follows the patch as in a plan.

The baseline to beat is the usual estimate: variables, gradients and the moments of Adam, and every layer's output once.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pocketnet import backend
from pocketnet.errors import Stopped
from pocketnet.profiling import devices, memory, predict, sweep, wanted
from pocketnet.profiling.configuration import Configuration
from scipy.optimize import nnls

HERE = Path(__file__).parent
LISTS = HERE / "predict.json"
THREADS = 2
ENGINES = ("openvino", "tensorflow")
TESTED = ("train", "rematerialised", "accumulated", "openvino")
ACCUMULATE = 4
STEPS, WARM_UP = 3, 1
ATTEMPTS, STEADY = 3, 0.2
"""So often, a measurement whose steps' standard deviation is more than this share of their median, as when something
else ran, is done again; the steadiest counts."""
LOWEST = -0.035
"""The worst of the fitted ones after raising the factors, as a share of the measured."""
BOUND = {"memory_lowest": -0.05, "memory_highest": 0.15, "time_largest": 0.30, "calibration_seconds": 60.0,
         "configurations": 24, "share_from_1_gib": 0.5, "span": 10.0}
MIB = 2**20


def listed(part: str, kind: str) -> list[Configuration]:
    """Configurations of `predict.json`; a kind is `train`, a training with less memory, or an engine of inference."""
    infer = kind in ENGINES
    common = {"mode": "infer" if infer else "train", "engine": kind if infer else "auto",
              "steps": STEPS, "warm_up": WARM_UP, "threads": THREADS, "seed": 0}
    return [one for arch, width, side, batch in json.loads(LISTS.read_text())[part].get(kind, [])
            for one in wanted.configurations(None, arch, width, [side], [batch], {}, None, None, common,
                                             ACCUMULATE if kind == "accumulated" else None, kind == "rematerialised")]


def kind_of(one: Configuration) -> str:
    """The kind that `listed` found it under."""
    return one.engine if one.mode == "infer" else "rematerialised" if one.rematerialise else \
        "accumulated" if one.accumulate > 1 else "train"


class Measurements:
    """What was measured, kept in a file if there is one, so that a bench that was stopped goes on.

    Args:
        path: The file.
        limit_seconds: No configuration is begun later than this; None for no limit.
    """

    def __init__(self, path: Path | None, limit_seconds: float | None = None):
        self.path = path
        self.found = json.loads(path.read_text()) if path and path.is_file() else {}
        self.ends = math.inf if limit_seconds is None else time.monotonic() + limit_seconds

    def of(self, one: Configuration) -> dict:
        """`measured` of one configuration.

        Raises:
            SystemExit: It is not measured yet, and the time is up.
        """
        key = f"{one.describe()}, {kind_of(one)}"
        if key not in self.found:
            if time.monotonic() > self.ends:
                print(f"stopped before: {key}; run again to go on", file=sys.stderr)
                raise SystemExit(Stopped.exit_code)
            self.found[key] = steadiest(one)
            print(key, self.found[key], file=sys.stderr, flush=True)
            if self.path:
                self.path.write_text(json.dumps(self.found, indent=1))
        return self.found[key]


def steadiest(one: Configuration) -> dict:
    """`measured` of one configuration, of a few attempts if it has to be."""
    found = []
    while len(found) < ATTEMPTS:
        found.append(vars(sweep.measure(one)[0].measured))
        if found[-1]["status"] != "ok" or spread(found[-1]) <= STEADY:
            return found[-1]
    return min(found, key=spread)


def spread(measured: dict) -> float:
    """Standard deviation of the steps as a share of their median."""
    return measured["step_seconds_sd"] / measured["step_seconds"]


def row(one: Configuration, measured: dict, device: devices.Device) -> dict:
    """A configuration's figures: measured, predicted, and the baseline."""
    found = predict.predict(one, device)
    grown, seconds = measured["host_memory_growth_mib"], measured["step_seconds"]
    return {"arch": one.network.arch, "width": one.network.width, "patch": one.patch[0], "batch": one.batch,
            "kind": kind_of(one), "measured_mib": grown,
            "predicted_mib": round(found.memory_mib), "memory_error": round(found.memory_mib / grown - 1, 4),
            "sum_of_outputs_error": round(found.sum_of_outputs_mib / grown - 1, 4), "measured_seconds": seconds,
            "predicted_seconds": round(found.step_seconds, 4), "time_error": round(found.step_seconds / seconds - 1, 4)}


def rows(measurements: Measurements, device: devices.Device) -> list[dict]:
    """Measure and predict the tested, a line each as it goes; what does not fit the machine is left out and told."""
    out = []
    for one in (one for kind in TESTED for one in listed("test", kind)):
        measured = measurements.of(one)
        if measured["status"] != "ok":
            print(f"left out: {one.describe()}: {measured['reason']}", flush=True)
            continue
        out.append(row(one, measured, device))
        print(*(f"{key} {value:<9}" for key, value in out[-1].items()), flush=True)
    return out


def fit_factors(configurations: list[Configuration], measurements: Measurements) -> tuple[devices.Factors, list[dict]]:
    """The factors with the smallest relative errors, raised so that the worst is `LOWEST` of the measured."""
    train = configurations[0].mode == "train"
    openvino = configurations[0].engine == "openvino"
    grown = np.array([measurements.of(one)["host_memory_growth_mib"] for one in configurations])
    factors = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    for _ in range(5):  # which moment is the worst depends on the factors
        parts = []
        for one in configurations:
            nodes = predict.nodes_of(one.network, one.patch, one.precision)
            moments = (memory.training_moments(nodes, one.rematerialise) if train
                       else memory.inference_moments(predict.computed(nodes, one.engine), openvino))
            worst = max(moments, key=lambda moment: factors[2:] @ (moment.kept, moment.transient, moment.workspace))
            held = np.array([worst.kept, worst.transient, worst.workspace]) * one.batch / MIB
            parts.append([1 if openvino else len(nodes), memory.variables(nodes, 2 if train else 0) / MIB, *held])
        factors, _ = nnls(np.array(parts) / grown[:, None], np.ones(len(grown)))
    found = np.array(parts) @ factors
    factors = factors * max(1.0, (1 + LOWEST) / (found / grown).min())
    first, *others = (round(float(value), 4) for value in factors)
    fitted = devices.Factors(0.0, *others, fixed_mib=first) if openvino else devices.Factors(first, *others)
    return fitted, [
        {"configuration": f"{one.describe()}, {kind_of(one)}", "measured_mib": float(value),
         "predicted_mib": round(float(by_parts))}
        for one, value, by_parts in zip(configurations, grown, np.array(parts) @ factors, strict=True)]


def fit(measurements: Measurements) -> dict:
    """Measure what is to be fitted to, and write `fitted.json`."""
    value = json.loads(devices.FITTED.read_text()) | {"fitted_on": {}}
    for one in listed("fit", "accumulated"):
        value["fitted_on"].setdefault("accumulated", []).append(
            {"configuration": f"{one.describe()}, accumulated",
             "measured_mib": measurements.of(one)["host_memory_growth_mib"]})
    for kind in ("train", "openvino", "tensorflow"):
        to_fit = listed("fit", kind) + (listed("fit", "rematerialised") if kind == "train" else [])
        configurations = [one for one in to_fit if measurements.of(one)["status"] == "ok"]
        factors, value["fitted_on"][kind] = fit_factors(configurations, measurements)
        base = float(np.median([measurements.of(one)["host_memory_mib"]
                                - measurements.of(one)["host_memory_growth_mib"] for one in configurations]))
        if kind == "train":
            value["train"], value["runtime_mib"]["train"] = asdict(factors), round(base)
        else:
            value["infer"][kind], value["runtime_mib"]["infer"][kind] = asdict(factors), round(base)
        print(f"{kind}: {factors}, runtime {base:.0f} MiB")
    devices.FITTED.write_text(json.dumps(value, indent=1) + "\n")
    return value


def calibrated(folder: Path) -> tuple[devices.Device, float]:
    """This processor with measured rates, and how many seconds the command took, from its start to its end."""
    begin = time.monotonic()
    path = str(folder / "here.json")
    subprocess.run([sys.executable, "-m", "pocketnet.cli.profile", "--calibrate", path, "--threads", str(THREADS),
                    "--patch", "16", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return devices.load(path), time.monotonic() - begin


def judge(found: list[dict], seconds: float) -> tuple[dict, bool]:
    """What is held against `BOUND`, and whether it holds."""
    train = [one for one in found if one["kind"] == "train"]
    grown = [one["measured_mib"] for one in train]
    errors = [one["memory_error"] for one in found]
    times = [abs(one["time_error"]) for one in found if one["kind"] not in ENGINES]
    baseline = [one["sum_of_outputs_error"] for one in train]
    measured = {
        "memory_lowest": min(errors), "memory_highest": max(errors), "time_largest": max(times),
        "time_median": round(float(np.median(times)), 3), "calibration_seconds": round(seconds, 1),
        "configurations": len(train), "share_from_1_gib": round(float(np.mean([value >= 1024 for value in grown])), 3),
        "span": round(max(grown) / min(grown), 1),
        "sum_of_outputs_lowest": min(baseline), "sum_of_outputs_highest": max(baseline)}
    ok = (all(measured[key] >= BOUND[key] for key in ("memory_lowest", "configurations", "share_from_1_gib", "span"))
          and all(measured[key] <= BOUND[key] for key in ("memory_highest", "time_largest", "calibration_seconds")))
    return measured, ok


def page(found: list[dict], folder: Path) -> None:
    """Leave the table and the plot for docs/results/profile.md in a folder."""
    header = ("network", "width", "patch", "batch", "what", "measured (MiB)", "predicted (MiB)", "error",
              "sum of outputs", "step measured (s)", "predicted (s)", "error")
    lines = ["| " + " | ".join(header) + " |", "|---|---|" + "---:|" * 2 + "---|" + "---:|" * 7]
    lines += [f"| {one['arch']} | {one['width']} | {one['patch']}³ | {one['batch']} | "
              f"{one['kind']} | {one['measured_mib']:,.0f} | {one['predicted_mib']:,} | {one['memory_error']:+.1%} | "
              f"{one['sum_of_outputs_error']:+.1%} | {one['measured_seconds']:.2f} | {one['predicted_seconds']:.2f} | "
              f"{one['time_error']:+.0%} |" for one in found]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predicted.md").write_text("\n".join(lines) + "\n")
    plot(found, folder / "predicted.png")


def plot(found: list[dict], path: Path) -> None:
    """Predicted over measured, memory and time, with the bounds shaded."""
    from pocketnet.experiments import drawing

    train = [one for one in found if one["kind"] == "train"]
    with drawing.new_figure(8.0, 3.9) as canvas:
        for axis, (name, unit, low, high) in zip(canvas.subplots(1, 2), (
                ("mib", "memory (MiB)", BOUND["memory_lowest"], BOUND["memory_highest"]),
                ("seconds", "time of a step (s)", -BOUND["time_largest"], BOUND["time_largest"])), strict=True):
            measured = np.array([one[f"measured_{name}"] for one in train])
            ends = np.array([measured.min() / 1.3, measured.max() * 1.3])
            axis.fill_between(ends, ends * (1 + low), ends * (1 + high), color="#9a9b9c", alpha=0.3, linewidth=0,
                              label=f"{low:+.0%} to {high:+.0%}")
            axis.plot(ends, ends, color=drawing.FAINT, linewidth=0.8)
            for width, marker in (("full", "s"), ("pocket", "o")):
                mine = [one for one in train if one["width"] == width]
                axis.plot([one[f"measured_{name}"] for one in mine], [one[f"predicted_{name}"] for one in mine], marker,
                          color=drawing.colour(width), markersize=5, markeredgecolor="black", markeredgewidth=0.5,
                          linestyle="none", label=width)
            if name == "mib":
                axis.plot(measured, [one["measured_mib"] * (1 + one["sum_of_outputs_error"]) for one in train], "x",
                          color="#303132", markersize=4, linestyle="none", label="sum of outputs")
            axis.set(xscale="log", yscale="log", xlabel=f"measured {unit}", ylabel=f"predicted {unit}")
            axis.xaxis.set_minor_formatter("")  # their labels would lie over each other
            axis.legend(frameon=False, fontsize=8)
            axis.grid()
    canvas.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fit", action="store_true", help="fit the factors instead, and write them")
    parser.add_argument("--measurements", type=Path, help="a file that keeps what was measured")
    parser.add_argument("--page", type=Path, metavar="FOLDER", help="leave table and plot here")
    parser.add_argument("--limit-seconds", type=float, metavar="N",
                        help="begin no measurement later than this; what --measurements kept is not repeated")
    given = parser.parse_args()
    if given.limit_seconds is not None and given.measurements is None:
        parser.error("--limit-seconds needs --measurements, else nothing is kept.")
    backend.configure()
    measurements = Measurements(given.measurements, given.limit_seconds)
    if given.fit:
        print(json.dumps({"fitted": {key: value for key, value in fit(measurements).items() if key != "fitted_on"}}))
        return
    for kind in TESTED:
        for one in listed("test", kind):
            measurements.of(one)
    with tempfile.TemporaryDirectory(prefix="pocket-predict-") as folder:
        device, seconds = calibrated(Path(folder))
    found = rows(measurements, device)
    if given.page:
        page(found, given.page)
    measured, ok = judge(found, seconds)
    print(json.dumps({"figures": found, "fitted_on": json.loads(devices.FITTED.read_text())["fitted_on"],
                      "rates": asdict(device.rates["float32"]), "workspace": device.train.workspace,
                      "measured": measured, "bound": BOUND, "ok": ok}))


if __name__ == "__main__":
    main()
