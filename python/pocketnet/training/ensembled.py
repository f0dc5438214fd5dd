"""Combine the trained networks of one fold into a single network that computes their mean, as a model folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import backend, files, outputs
from ..code import code_hash
from ..contracts import decisions, energy
from ..contracts.provenance import Attempt, Provenance
from ..errors import UsageError
from .model_folder import ModelFolder, folder_of, history_csv, write_records

SAME = ("dataset", "arch", "width", "fold", "recipe", "code", "intensity")
"""Provenance fields that must be equal in all members."""


def write_ensemble(folders: Sequence[Path], output: Path) -> Provenance:
    """Write a network that averages the probabilities of several trained networks.

    Args:
        folders: The members' model folders: same plan and fold, different seeds.
        output: The model folder to write. In addition to the usual files, it has `member<N>.provenance.json` and
            `member<N>.history.csv` for each member. Its `history.csv` has the means over the members.

    Returns:
        The provenance written: parameters, steps and seconds are sums over the members.

    Raises:
        UsageError: There are fewer than two members, they do not form one ensemble, or `output` may not be written.
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
    """Check that trained networks form one ensemble.

    Raises:
        UsageError: There are fewer than two, two differ in plan or provenance, or one is given twice.
    """
    if len(members) < 2:
        raise UsageError(f"An ensemble has at least 2 members. Received: {len(members)}", todo="Give --model again.")
    first = members[0]
    for member in members[1:]:
        differing = [key for key in SAME if getattr(member.provenance, key) != getattr(first.provenance, key)]
        if member.plan.network != first.plan.network or member.plan.preprocessing != first.plan.preprocessing:
            differing.append("plan")
        if differing:
            raise UsageError(f"These are not members of one ensemble: they differ in {', '.join(differing)}.",
                             where=f"{first.path} and {member.path}",
                             todo="Train them with the same plan on the same fold, each with its own seed.")
    keys = [member.provenance.run_key for member in members]
    if len(set(keys)) < len(keys):
        raise UsageError("The same training is given twice.", where=", ".join(str(member.path) for member in members),
                         todo="Train each member with its own seed.")


def combined(provenances: Sequence[Provenance]) -> Provenance:
    """Return the provenance of an ensemble: the first member's, with sums over members and a new run key.

    The validation loss is None, because it was not measured for the mean. What was decided is what all members decided.
    """
    steps = sum(one.steps for one in provenances)
    seconds = round(sum(one.wall_seconds for one in provenances), 2)
    on_devices = [one.peak_device_memory_mib for one in provenances if one.peak_device_memory_mib is not None]
    return replace(
        provenances[0], parameters=sum(one.parameters for one in provenances), steps=steps,
        run_key=files.digest({"ensemble": [one.run_key for one in provenances], "code": code_hash("ensemble")}),
        attempts=(Attempt(1, steps, seconds, "finished"),), wall_seconds=seconds, validation_loss=None,
        energy=energy.total([one.energy for one in provenances]),
        decisions=decisions.combined([one.decisions for one in provenances]),
        peak_host_memory_mib=max(one.peak_host_memory_mib for one in provenances),
        peak_device_memory_mib=max(on_devices, default=None))


def mean_history(histories: Sequence[str]) -> str:
    """Return `history.csv` with the members' means per epoch, up to the last epoch of the shortest history."""
    tables = [list(csv.DictReader(io.StringIO(text))) for text in histories]
    rows = [{name: f"{sum(float(row[name]) for row in rows) / len(rows):.10g}" for name in rows[0]}
            for rows in zip(*tables, strict=False)]
    return history_csv(rows, tuple(csv.DictReader(io.StringIO(histories[0])).fieldnames or ()))
