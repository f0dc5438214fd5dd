"""Resources of a run: predicted, measured and used time and memory, as numbers and text without markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np

from ..contracts.comparison import Comparison, Pair
from ..contracts.energy import Energy, mean_kwh
from ..contracts.profile import ProfiledConfiguration
from ..tracking.records import Model, Run


def _of(models: Sequence[Model], arch: str, width: str) -> list[Model]:
    return [m for m in models if (m.provenance.arch, m.provenance.width) == (arch, width)]


def facts(run: Run, pair: Pair) -> list[dict[str, Any]]:
    """Return what the smaller network costs and saves: one row per quantity, with both networks' values."""
    from ..models.widths import configuration_of, policy_of, predicted_saving

    arch, width, reference = pair.arch, pair.width, pair.reference
    parameters = {row.width: row.parameters for row in cast(Comparison, run.comparison).networks if row.arch == arch}
    ratio = parameters[reference] / parameters[width]
    rows = [{"name": "Parameters", reference: f"{parameters[reference]:,}", width: f"{parameters[width]:,}",
             "ratio": f"{ratio:.1f} times fewer"}]
    here, there = _of(run.models, arch, width), _of(run.models, arch, reference)
    depths = {model.plan.network.depth for model in here if model.plan}
    alike = configuration_of(width) == configuration_of(reference)  # the formula is for networks of equal kernels
    if policy_of(width) == "pocket" and alike and len(depths) == 1:
        rows.append({"name": "Parameters by the paper's Eq. 3", reference: "–", width: "–",
                     "ratio": f"{predicted_saving(depths.pop()):.1f} times fewer"})
    for name, key, form in (("Training time per fold", "wall_seconds", duration),
                            ("Peak host memory", "peak_host_memory_mib", mebibytes),
                            ("Peak device memory", "peak_device_memory_mib", mebibytes)):
        mine, theirs = (_mean(getattr(model.provenance, key) for model in side) for side in (here, there))
        if mine and theirs:
            rows.append({"name": name, reference: form(theirs), width: form(mine), "ratio": _share(mine, theirs)})
    trainings = [[model.provenance.energy for model in side] for side in (here, there)]
    cases = [_of_cases(run, side) for side in (here, there)]
    for name, sides in (("Energy per training", trainings), ("Energy per case predicted", cases)):
        mine, theirs = map(mean_kwh, sides)
        if mine and theirs:
            measured = all(one.measured for side in sides for one in side if one)
            rows.append({"name": f"{name} ({'measured' if measured else 'estimated'})", "ratio": _share(mine, theirs),
                         reference: kilowatt_hours(theirs), width: kilowatt_hours(mine)})
    mine, theirs = (sum(map(core_hours, side)) for side in (here, there))
    if mine and theirs and len(here) == len(there) and unit(here) == unit(there):
        rows.append({"name": f"Cost of all trainings ({unit(here)})", reference: f"{theirs:.2g}", width: f"{mine:.2g}",
                     "ratio": _share(mine, theirs)})
    return [fact | {"reference": fact[reference], "other": fact[width]} for fact in rows]


def _of_cases(run: Run, models: Sequence[Model]) -> list[Energy]:
    """Return the energy of each case that some models predicted."""
    keys = {model.provenance.run_key for model in models}
    return [cost.energy for one in run.evaluations if one.run_key in keys for cost in one.costs]


def _share(mine: float, theirs: float) -> str:
    share = round(100 * (1 - mine / theirs))
    return f"{abs(share)} % {'less' if share > 0 else 'more'}" if share else "the same"


def kilowatt_hours(value: float | None) -> str:
    """Format an energy in kWh, Wh or mWh; None gives a dash."""
    if value is None:
        return "–"
    factor, unit = (1, "kWh") if value >= 0.1 else (1e3, "Wh") if value >= 1e-5 else (1e6, "mWh")
    return f"{factor * value:.3g} {unit}"


def core_hours(model: Model) -> float:
    """Return GPU hours of a training, or CPU core hours if it used no GPU."""
    hours = model.provenance.wall_seconds / 3600
    held = max(attempt.devices or 1 for attempt in model.provenance.attempts)
    return hours * (held if _gpus(model) else model.provenance.hardware.cores or 1)


def _gpus(model: Model) -> bool:
    return any("gpu" in str(device).lower() for device in model.provenance.hardware.devices or [])


def unit(models: Sequence[Model]) -> str:
    """Return the unit of `core_hours`: GPU hours if any training used a GPU."""
    return "GPU hours" if any(map(_gpus, models)) else "CPU core hours"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def duration(seconds: float) -> str:
    """Format a time as `1 h 02 min`, `3 min 20 s` or `12 s`."""
    seconds = round(seconds)
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    return f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"


def mebibytes(value: float | None) -> str:
    """Format memory in MiB below 10 GiB, else in GiB; None gives a dash."""
    if value is None:
        return "–"
    return f"{value:,.0f} MiB" if value < 10240 else f"{value / 1024:.1f} GiB"


def training(models: Sequence[Model], score: str) -> list[dict[str, Any]]:
    """Return one row per training; `score` is the key of the history's validation score."""
    return [{"network": f"{m.provenance.arch} {m.provenance.width}", "fold": m.provenance.fold,
             "steps": m.provenance.steps, "seconds": m.provenance.wall_seconds,
             "time": duration(m.provenance.wall_seconds), "loss": m.provenance.validation_loss,
             "score": max((e[score] for e in m.history if not np.isnan(e.get(score, np.nan))), default=None),
             "host": mebibytes(m.provenance.peak_host_memory_mib), "host_mib": m.provenance.peak_host_memory_mib,
             "device": mebibytes(m.provenance.peak_device_memory_mib),
             "kwh": mean_kwh([m.provenance.energy]), "energy": kilowatt_hours(mean_kwh([m.provenance.energy])),
             "attempts": len(m.provenance.attempts)} for m in models]


def resources(run: Run) -> list[dict[str, Any]]:
    """Return one row per training with predicted, measured and used resources; one per network without a training."""
    result = []
    for profile in _profiles(run.profiles):
        measured, predicted = profile.measured, profile.predicted
        common = {
            "network": f"{profile.arch} {profile.width}",
            "patch": "×".join(map(str, profile.patch)), "batch": profile.batch,
            "on": predicted.device if predicted else "–",
            "predicted_step": seconds(predicted.step_seconds if predicted else None),
            "step": seconds(measured.step_seconds if measured else None)}
        trained: list[Model | None] = [*_of(run.models, profile.arch, profile.width)]
        for model in trained or [None]:
            used = model.provenance if model else None
            result.append(common | {
                "fold": used.fold if used else "–",
                **{kind: [mebibytes(getattr(one, f"{kind}_memory_mib") if one else None)
                          for one in (predicted, measured)]
                   + [mebibytes(getattr(used, f"peak_{kind}_memory_mib") if used else None)]
                   for kind in ("host", "device")},
                "used_step": seconds(used.wall_seconds / used.steps if used and used.steps else None)})
    return result


def _profiles(found: Sequence[ProfiledConfiguration]) -> list[ProfiledConfiguration]:
    """Select for each network the measured training profile, or the prediction if there is none."""
    chosen: dict[tuple[Any, ...], ProfiledConfiguration] = {}
    for profile in found:
        key = (profile.arch, profile.width, profile.patch, profile.batch)
        if profile.mode == "train" and (key not in chosen or profile.measured):
            chosen[key] = profile
    return list(chosen.values())


def seconds(value: float | None) -> str:
    """Format the time of a step; None gives a dash."""
    return "–" if value is None else f"{value:.3f} s"
