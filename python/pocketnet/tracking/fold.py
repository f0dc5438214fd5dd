"""The run of one training as MLflow shows it: the same whether it is logged live or collected afterwards."""

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
"""Columns of `system.csv`, and the metrics that they become; MLflow shows `system/` on a page of its own."""


def name(record: Identity) -> str:
    """As people see it, for example `unet pocket fold 0`."""
    return f"{record.arch} {record.width} fold {record.fold}"


def parameters(record: Identity, plan: Plan | None) -> dict[str, object]:
    """What tells this training from others.

    Args:
        record: The provenance, or as much of it as is known when the training begins.
        plan: None where it is missing.
    """
    values = {key: getattr(record, key) for key in IDENTITY}
    if plan:
        values |= {key: getattr(plan.training, key) for key in TRAINING}
        values["patch"] = "×".join(map(str, plan.training.patch))
    return values


def tags(record: Identity) -> dict[str, object]:
    """To filter by; the commit where it is known."""
    return {key: getattr(record, key) for key in (*TAGS, "fold") if getattr(record, key) is not None}


def system_metrics(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `system.csv` with the names that MLflow knows; what was not measured is left out."""
    return [{"step": row["step"], "seconds": row["seconds"],
             **{SYSTEM[key]: row[key] for key in SYSTEM if row.get(key) is not None and row[key] == row[key]}}
            for row in rows]
