"""From several trained networks of one fold to a single one that is their mean: one model folder like any other."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from .. import backend, files, outputs
from ..code import code_hash
from ..errors import UsageError
from .model_folder import ModelFolder, folder_of, history_csv, write_records

SAME = ("dataset", "arch", "width", "fold", "recipe", "code", "intensity")
"""What members must have in common, of their provenance."""


def write_ensemble(folders: Sequence[Path], output: Path) -> dict:
    """Write the network whose probabilities are the mean of those of some trained networks.

    Args:
        folders: The members' model folders: one plan and fold, seeds of their own.
        output: The model folder to write. Beside the usual files it has each member's `member<N>.provenance.json` and
            `member<N>.history.csv`; its `history.csv` has the members' means.

    Returns:
        The provenance that was written: parameters, steps and seconds are sums over the members.

    Raises:
        UsageError: Fewer than two, or they are not members of one ensemble, or `output` may not be written.
        DataError: A folder is incomplete or was altered.
    """
    outputs.check_folder(output, [folder_of(folder) for folder in folders])
    members = [ModelFolder.open(folder) for folder in folders]
    check_members(members)
    plan = members[0].plan
    backend.configure(seed=plan.seed)
    from ..models.build import load
    from ..models.ensemble import mean_of
    from ..models.export import export_openvino

    network = mean_of([load(member.path / "model.keras") for member in members])
    provenance = combined([member.provenance for member in members])
    with files.atomic_folder(output) as temporary:
        network.save(temporary / "model.keras")
        export_openvino(network, temporary)
        histories = []
        for number, member in enumerate(members, 1):
            histories.append((member.path / "history.csv").read_text(encoding="utf-8"))
            files.write_text(temporary / f"member{number}.history.csv", histories[-1])
            files.write_text(temporary / f"member{number}.provenance.json",
                             (member.path / "provenance.json").read_text(encoding="utf-8"))
        write_records(temporary, plan, provenance, mean_history(histories))
    return provenance


def check_members(members: Sequence[ModelFolder]) -> None:
    """Refuse what is no ensemble.

    Raises:
        UsageError: Names the folder and what differs.
    """
    if len(members) < 2:
        raise UsageError(f"An ensemble has at least 2 members. Received: {len(members)}", todo="Give --model again.")
    first = members[0]
    for member in members[1:]:
        differing = [key for key in SAME if member.provenance[key] != first.provenance[key]]
        if member.plan.network != first.plan.network or member.plan.preprocessing != first.plan.preprocessing:
            differing.append("plan")
        if differing:
            raise UsageError(f"These are not members of one ensemble: they differ in {', '.join(differing)}.",
                             where=f"{first.path} and {member.path}",
                             todo="Train them by one plan on one fold, with seeds of their own.")
    keys = [member.provenance["run_key"] for member in members]
    if len(set(keys)) < len(keys):
        raise UsageError("The same training is there twice.", where=", ".join(str(member.path) for member in members),
                         todo="Train the members with seeds of their own.")


def combined(provenances: Sequence[dict]) -> dict:
    """The provenance of an ensemble: the first member's, with sums, and a run key of its own.

    The best validation loss of the mean was not measured: None.
    """
    steps, seconds = (sum(one[key] for one in provenances) for key in ("steps", "wall_seconds"))
    on_devices = [one["peak_device_memory_mib"] for one in provenances if one["peak_device_memory_mib"] is not None]
    first = {key: value for key, value in provenances[0].items() if key not in ("kind", "schema_version")}
    return first | {
        "parameters": sum(one["parameters"] for one in provenances), "steps": steps,
        "run_key": files.digest({"ensemble": [one["run_key"] for one in provenances], "code": code_hash("ensemble")}),
        "attempts": [{"first_step": 1, "last_step": steps, "seconds": round(seconds, 2), "ended": "finished"}],
        "wall_seconds": round(seconds, 2), "validation_loss": None,
        "peak_host_memory_mib": max(one["peak_host_memory_mib"] for one in provenances),
        "peak_device_memory_mib": max(on_devices, default=None),
    }


def mean_history(histories: Sequence[str]) -> str:
    """`history.csv` with the members' means, epoch by epoch, as far as all of them have it."""
    tables = [list(csv.DictReader(io.StringIO(text))) for text in histories]
    rows = [{name: f"{sum(float(row[name]) for row in rows) / len(rows):.10g}" for name in rows[0]}
            for rows in zip(*tables, strict=False)]
    return history_csv(rows, tuple(csv.DictReader(io.StringIO(histories[0])).fieldnames or ()))
