"""Read an experiment's inputs from a run's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from .. import outputs
from ..contracts.activations import Activations
from ..contracts.base import load
from ..contracts.comparison import Comparison
from ..contracts.manifest import Manifest
from ..contracts.plan import Plan
from ..contracts.profile import Profile, ProfiledConfiguration
from ..contracts.splits import Splits
from ..errors import DataError, UsageError
from ..files import below
from ..tracking.records import Model, read_run, refuse_altered

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Inputs:
    """The files of a run that were given.

    Attributes:
        name: The experiment.
        manifest, plan, splits: Contents of the files with these names.
        comparison: `comparison.json`; None if not given.
        models: Records of model folders, sorted by architecture, width and fold.
        evaluations: Output folders of `pocket-evaluate`.
        rows: Rows of all their `metrics.csv`; None if there are none.
        configurations: Configurations of all `profile.json` files.
        activations: All `activations.json` files.
        predictions, input: Folders of predicted label maps and of the dataset, for a picture.
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
        """`comparison`, after `need` has checked that it was given."""
        return cast(Comparison, self.comparison)

    @property
    def measured(self) -> pd.DataFrame:
        """`rows`, after `need` has checked that they were given."""
        return cast("pd.DataFrame", self.rows)

    def need(self, **values: object) -> None:
        """Check that the inputs that an experiment needs were given.

        Args:
            values: Input by the name of its option.

        Raises:
            UsageError: If inputs are missing; the message lists their options.
        """
        missing = [f"--{name}" for name, value in values.items()
                   if value is None or (hasattr(value, "__len__") and len(value) == 0)]
        if missing:
            raise UsageError(f"The experiment '{self.name}' is drawn from {', '.join(missing)}, which has nothing.",
                             todo="Give these, from a run of the pipeline with this --experiment.")


def read(name: str, manifest: Path, plan: Path, splits: Path, comparison: Path | None = None,
         models: Sequence[Path] = (), evaluations: Sequence[Path] = (), measured: Sequence[Path] = (),
         predictions: Path | None = None, input_: Path | None = None) -> Inputs:
    """Read the files of a run.

    Args:
        name: The experiment.
        manifest: `manifest.json` of `pocket-check`.
        plan: `plan.json` of `pocket-plan`.
        splits: `splits.json` of `pocket-plan`.
        comparison: Folder of `comparison.json`, if any.
        models: Model folders, or folders that contain them.
        evaluations: Output folders of `pocket-evaluate`.
        measured: Output files of `pocket-profile` and `pocket-activations`, distinguished by their `kind`.
        predictions: Folder of predicted label maps, for a picture.
        input_: Folder of the dataset, for a picture.

    Raises:
        UsageError: If a file does not exist.
        DataError: If files are invalid. Problems of models and comparison are listed together.
    """
    import pandas as pd

    from ..evaluation import table

    run = read_run(models, (), comparison)
    refuse_altered(run)
    if run.problems:
        raise DataError("Some files of the run cannot be read.", problems=run.problems)
    found = Inputs(name, Manifest.read(manifest), Plan.read(plan), Splits.read(splits),
                   run.comparison, run.models, sorted(evaluations), predictions=predictions, input=input_)
    tables = sorted({path / "metrics.csv" for folder in evaluations for path, names in below(folder)
                     if "metrics.csv" in names})
    outputs.check_unaltered([*tables, *measured])
    if tables:
        found.rows = pd.concat([table.read(path) for path in tables], ignore_index=True)
    for path in measured:
        value = load(path, "measurement")
        if isinstance(value, dict) and value.get("kind") == Profile.kind:
            found.configurations += Profile.parse(value, path).configurations
        else:
            found.activations.append(Activations.parse(value, path))
    return found
