"""Definitions of the experiments, read from `experiments.json`, which the pipeline reads too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, UsageError

if TYPE_CHECKING:
    from ..contracts.manifest import Manifest

EXPERIMENTS = Path(__file__).parent / "experiments.json"


def names() -> list[str]:
    """Return the names of all experiments."""
    return list(_all())


def load(name: str) -> dict[str, Any]:
    """Return the definition of the experiment `name`.

    Raises:
        UsageError: If there is no such experiment; the message lists the valid names.
    """
    if name not in _all():
        raise UsageError(f"Unknown experiment '{name}'.", todo=f"Use one of: {', '.join(_all())}.")
    return _all()[name]


def check_fits(name: str, manifest: Manifest, where: str | None = None) -> None:
    """Check that an experiment applies to a dataset.

    Args:
        name: The experiment.
        manifest: The dataset.
        where: File of the manifest, for the error message.

    Raises:
        UsageError: If the dataset is for another task.
        DataError: If the dataset has too few labels.
    """
    entry, task = load(name), manifest.task
    if task not in entry["tasks"]:
        fitting = [other for other in names() if task in load(other)["tasks"]]
        raise UsageError(f"The experiment '{name}' is for {' and '.join(entry['tasks'])}; this dataset is for {task}.",
                         where=where, todo=f"Use one of: {', '.join(fitting)}.")
    least = entry.get("least_labels", 1)
    if len(manifest.labels) < least:
        raise DataError(f"The experiment '{name}' needs at least {least} labels, this dataset has "
                        f"{len(manifest.labels)}.", where=where, todo="Choose a label set with more (--labels).")


def _all() -> dict[str, Any]:
    return json.loads(EXPERIMENTS.read_text(encoding="utf-8"))
