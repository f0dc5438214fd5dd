"""MLflow's parameters, tags and metrics for the run of one training, logged live or collected afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..contracts.plan import Plan
from ..contracts.provenance import Identity

TAGS = ("dataset", "arch", "width", "recipe", "code", "version", "commit")
IDENTITY = ("arch", "width", "fold", "recipe", "seed", "parameters")
TRAINING = ("batch", "epochs", "steps_per_epoch", "learning_rate", "loss", "optimizer")
SYSTEM = {"cpu_percent": "system/cpu_utilization_percentage", "host_memory_mib": "system/process_memory_mib",
          "device_memory_mib": "system/device_memory_mib"}
"""MLflow metric for each column of `system.csv`; MLflow shows `system/` metrics on a separate page."""


def name(record: Identity) -> str:
    """Return the display name, for example `unet pocket fold 0`."""
    return f"{record.arch} {record.width} fold {record.fold}"


def parameters(record: Identity, plan: Plan | None) -> dict[str, object]:
    """Return the parameters that distinguish this training from others.

    Args:
        record: The provenance, or the part that is known when the training begins.
        plan: The plan; None if it is missing.
    """
    values = {key: getattr(record, key) for key in IDENTITY}
    if plan:
        values |= {key: getattr(plan.training, key) for key in TRAINING}
        values["patch"] = "×".join(map(str, plan.training.patch))
    return values


def tags(record: Identity) -> dict[str, object]:
    """Return the tags to filter runs by, without unknown values."""
    return {key: getattr(record, key) for key in (*TAGS, "fold") if getattr(record, key) is not None}


def system_metrics(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of `system.csv` with MLflow's metric names, without values that were not measured."""
    return [{"step": row["step"], "seconds": row["seconds"],
             **{SYSTEM[key]: row[key] for key in SYSTEM if row.get(key) is not None and row[key] == row[key]}}
            for row in rows]
