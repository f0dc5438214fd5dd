"""What an experiment is drawn from, read from a run's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..contracts.activations import Activations
from ..contracts.base import load
from ..contracts.comparison import Comparison
from ..contracts.manifest import Manifest
from ..contracts.plan import Plan
from ..contracts.profile import Profile, ProfiledConfiguration
from ..contracts.splits import Splits
from ..errors import DataError, UsageError
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
    manifest: Manifest
    plan: Plan
    splits: Splits
    comparison: Comparison | None = None
    models: list[Model] = field(default_factory=list)
    evaluations: list[Path] = field(default_factory=list)
    rows: pd.DataFrame | None = None
    configurations: list[ProfiledConfiguration] = field(default_factory=list)
    activations: list[Activations] = field(default_factory=list)
    predictions: Path | None = None
    input: Path | None = None

    @property
    def task(self) -> str:
        """`segmentation` or `classification`."""
        return self.manifest.task

    @property
    def compared(self) -> Comparison:
        """`comparison`, for an experiment that needs it (see `need`)."""
        return cast(Comparison, self.comparison)

    @property
    def measured(self) -> pd.DataFrame:
        """`rows`, for an experiment that needs them (see `need`)."""
        return cast("pd.DataFrame", self.rows)

    def need(self, **values: object) -> None:
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
        name: The experiment.
        manifest: `manifest.json` of `pocket-check`.
        plan: `plan.json` of `pocket-plan`.
        splits: `splits.json` of `pocket-plan`.
        comparison: The folder of `comparison.json`; None without one.
        models: Model folders, or folders that hold them.
        evaluations: Folders of `pocket-evaluate`.
        measured: Files of `pocket-profile` and `pocket-activations`, told apart by their `kind`.
        predictions: Folder of predicted label maps, for a picture.
        input_: The dataset's folder, for a picture.

    Raises:
        UsageError: A file is not there.
        DataError: One does not validate; all are named.
    """
    import pandas as pd

    from ..evaluation import table

    run = read_run(models, (), comparison)
    if run.problems:
        raise DataError("Not all of the run can be read.", problems=run.problems)
    found = Inputs(name, Manifest.read(manifest), Plan.read(plan), Splits.read(splits),
                   run.comparison, run.models, sorted(evaluations), predictions=predictions, input=input_)
    tables = sorted({path for folder in evaluations for path in folder.rglob("metrics.csv")})
    if tables:
        found.rows = pd.concat([table.read(path) for path in tables], ignore_index=True)
    for path in measured:
        value = load(path, "measurement")
        if isinstance(value, dict) and value.get("kind") == Profile.kind:
            found.configurations += Profile.parse(value, path).configurations
        else:
            found.activations.append(Activations.parse(value, path))
    return found
