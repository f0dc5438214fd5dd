"""What an experiment is drawn from, read from a run's files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, UsageError
from ..files import read_json
from ..tracking.records import Model, read_run

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Inputs:
    """A run's files, as far as they were given.

    Attributes:
        name: The experiment.
        manifest, plan, splits: The files of these names.
        comparison: `comparison.json`, None where none was given.
        models: Model folders' records, by architecture, width and fold.
        evaluations: Folders of `pocket-evaluate`.
        rows: `metrics.csv` of all of them; None without one.
        configurations: Of every `profile.json`.
        activations: Every `activations.json`.
        predictions, input: Folders of label maps and of the dataset, for a picture.
    """

    name: str
    manifest: dict
    plan: dict
    splits: dict
    comparison: dict | None = None
    models: list[Model] = field(default_factory=list)
    evaluations: list[Path] = field(default_factory=list)
    rows: pd.DataFrame | None = None
    configurations: list[dict] = field(default_factory=list)
    activations: list[dict] = field(default_factory=list)
    predictions: Path | None = None
    input: Path | None = None

    @property
    def task(self) -> str:
        """`segmentation` or `classification`."""
        return self.manifest.get("task", "segmentation")

    def need(self, **values) -> None:
        """Refuse to go on without what an experiment is drawn from.

        Raises:
            UsageError: Names the options that are missing.
        """
        missing = [f"--{name}" for name, value in values.items()
                   if value is None or (hasattr(value, "__len__") and len(value) == 0)]
        if missing:
            raise UsageError(f"The experiment '{self.name}' is drawn from {', '.join(missing)}, which has nothing.",
                             todo="Give these, from a run of the pipeline with this --experiment.")


def read(name: str, manifest: Path, plan: Path, splits: Path, comparison: Path | None = None,
         models: Sequence[Path] = (), evaluations: Sequence[Path] = (), measured: Sequence[Path] = (),
         predictions: Path | None = None, input_: Path | None = None) -> Inputs:
    """Read what a run has left.

    Args:
        measured: Files of `pocket-profile` and `pocket-activations`, told apart by their `kind`.

    Raises:
        UsageError: A file is not there.
        DataError: One does not validate; all are named.
    """
    import pandas as pd

    from ..evaluation import table

    run = read_run(models, (), comparison)
    if run.problems:
        raise DataError("Not all of the run can be read.", problems=run.problems)
    found = Inputs(name, read_json(manifest, "manifest"), read_json(plan, "plan"), read_json(splits, "splits"),
                   run.comparison, run.models, sorted(evaluations), predictions=predictions, input=input_)
    tables = sorted({path for folder in evaluations for path in folder.rglob("metrics.csv")})
    if tables:
        found.rows = pd.concat([table.read(path) for path in tables], ignore_index=True)
    for path in measured:
        kind = _kind(path)
        if kind == "profile":
            found.configurations += read_json(path, kind)["configurations"]
        else:
            found.activations.append(read_json(path, "activations"))
    return found


def _kind(path: Path) -> str:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("kind", "")
    except FileNotFoundError:
        raise UsageError("There is no measurement here.", where=str(path)) from None
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError) as error:
        raise DataError(f"This measurement cannot be read: {error}", where=str(path)) from None
