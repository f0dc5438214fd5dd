"""Read the records of a run from its folders: model folders, evaluations, comparison and profiles.

Damaged or incomplete folders are recorded as problems and do not stop the reading of the others. An unfinished run can
therefore be reported. Nothing is read that was altered since it was written: a model folder is compared with its
checksums, a result of another command with the marker of its folder (`outputs`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .. import outputs
from ..contracts import costs
from ..contracts.base import Contract
from ..contracts.calibration import Calibration
from ..contracts.comparison import Comparison
from ..contracts.costs import Cost
from ..contracts.overlays import Overlay, Overlays
from ..contracts.plan import Plan
from ..contracts.profile import Profile, ProfiledConfiguration
from ..contracts.provenance import Provenance
from ..contracts.tasks import DEFAULT, Task
from ..contracts.temperatures import Temperatures
from ..errors import AlteredError, PocketError
from ..evaluation import table
from ..files import below, open_table
from ..inference import temperatures
from ..text import csv_rows
from ..training.model_folder import ModelFolder
from ..training.tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd


C = TypeVar("C", bound=Contract)
RESULTS = ("metrics.csv", "overlays.json", "classification.json", "roc.png", costs.TABLE)
"""Files of an evaluation, besides its pictures."""


@dataclass(frozen=True)
class Model:
    """A model folder.

    Attributes:
        folder: Path of the folder.
        provenance: `provenance.json`.
        plan: `plan.json`.
        history: Rows of `history.csv`, one dict of floats per epoch; empty if missing.
        system: Rows of `system.csv` (resources used by the training), likewise.
        members: Provenance of each member of an ensemble; empty for a single network.
        calibration: `calibration.json`; None if missing.
        temperatures: `temperatures.json`; None if missing.
    """

    folder: Path
    provenance: Provenance
    plan: Plan
    history: list[dict[str, float]]
    system: list[dict[str, float]] = field(default_factory=list)
    members: list[Provenance] = field(default_factory=list)
    calibration: Calibration | None = None
    temperatures: Temperatures | None = None

    @property
    def name(self) -> str:
        """Display name, for example `unet pocket, fold 0`."""
        return f"{self.provenance.arch} {self.provenance.width}, fold {self.provenance.fold}"


@dataclass(frozen=True)
class Evaluation:
    """An evaluation folder.

    Attributes:
        folder: Path of the folder.
        rows: Rows of `metrics.csv`.
        overlays: Entries of `overlays.json`.
        costs: What predicting each case cost, from `costs.csv`; empty if it is not known.
        thumbnails: The thumbnail of each case that has one.
    """

    folder: Path
    rows: pd.DataFrame
    overlays: tuple[Overlay, ...]
    costs: tuple[Cost, ...] = ()
    thumbnails: dict[str, Path] = field(default_factory=dict)

    @property
    def run_key(self) -> str:
        """Run key of the training of the evaluated network."""
        return self.rows["run_key"].iloc[0]


@dataclass
class Run:
    """All readable records of a run.

    Attributes:
        comparison: `comparison.json`; None if missing.
        comparison_folder: Folder of `comparison.json`.
        models: Model folders, sorted by architecture, width and fold.
        evaluations: Evaluations, sorted likewise.
        profiles: Configurations of all `profile.json` files.
        problems: One message per record that could not be read.
        altered: Those of `problems` about records that are not as they were written.
    """

    comparison: Comparison | None = None
    comparison_folder: Path | None = None
    models: list[Model] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    profiles: list[ProfiledConfiguration] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)


def read_run(models: Sequence[Path] = (), evaluations: Sequence[Path] = (), comparison: Path | None = None,
             profiles: Sequence[Path] = ()) -> Run:
    """Read the records of a run.

    Args:
        models: Model folders, or folders that contain them.
        evaluations: Evaluation folders, or folders that contain them.
        comparison: Folder of `comparison.json`.
        profiles: `profile.json` files.
    """
    run = Run(comparison_folder=comparison)
    if comparison is not None:
        run.comparison = _try(run, "comparison", _read_result, Comparison, comparison / "comparison.json")
    for folder in _folders_with(("provenance.json", "checksums.json"), models, "model folder", run.problems):
        model = _try(run, "model", _read_model, folder, run)
        if model:
            run.models.append(model)
    for folder in _folders_with(("overlays.json",), evaluations, "evaluation", run.problems):
        evaluation = _try(run, "evaluation", _read_evaluation, folder)
        if evaluation:
            run.evaluations.append(evaluation)
    for path in profiles:
        profile = _try(run, "profile", _read_result, Profile, path)
        run.profiles += profile.configurations if profile else ()
    run.models.sort(key=lambda model: [getattr(model.provenance, key) for key in ("arch", "width", "fold")])
    run.evaluations.sort(key=lambda one: [one.rows[key].iloc[0] for key in ("arch", "width", "fold")])
    _without_repeats(run)
    return run


def _without_repeats(run: Run) -> None:
    """Keep one folder per run key, in case a folder was given both by itself and within another."""
    run.models = list({model.provenance.run_key: model for model in run.models}.values())
    run.evaluations = list({one.run_key: one for one in run.evaluations}.values())


def read_history(path: Path, task: Task = DEFAULT) -> list[dict[str, float]]:
    """Read `history.csv` as one dict per epoch.

    Raises:
        ValueError: If a field is not a number, or a column is missing that every history of the task has.
    """
    return _epochs(path, ("learning_rate", "loss", "validation_loss", *TASKS[task].COLUMNS), lambda value: True)


def read_system(path: Path) -> list[dict[str, float]]:
    """Read `system.csv` as one dict per epoch, without values that were not measured; raises as `read_history`."""
    return _epochs(path, (), bool)


def _epochs(path: Path, columns: Iterable[str], measured: Callable[[str], bool]) -> list[dict[str, float]]:
    """Read the rows of a table with `epoch`, `step` and these columns; leave out values that were not measured."""
    with open_table(path) as handle:
        rows = [{name: float(value) for name, value in row.items() if measured(value)} for row in csv_rows(handle)]
    for row in rows:
        if missing := [name for name in ("epoch", "step", *columns) if name not in row]:
            raise ValueError(f"no {', '.join(missing)}")
        if wrong := [name for name in ("epoch", "step") if not row[name].is_integer()]:
            raise ValueError(f"{wrong[0]} is {row[wrong[0]]}, expected a whole number")
    return rows


def read_optional(run: Run, path: Path | None, kind: type[C]) -> C | None:
    """Read a file of a contract; if it is missing or damaged, add a line to the run's problems and return None."""
    return None if path is None else _try(run, kind.kind, kind.read, path)


def refuse_altered(run: Run) -> None:
    """End a command that has used all other records.

    Raises:
        AlteredError: Records were altered; the error lists them.
    """
    if run.altered:
        raise AlteredError("Some records are not as they were written. They were left out.", problems=run.altered,
                           todo="Make them anew with the command that wrote them, or copy them again from there.")


def _read_result(kind: type[C], path: Path) -> C:
    outputs.check_unaltered([path])
    return kind.read(path)


def _read_model(folder: Path, run: Run) -> Model:
    opened = ModelFolder.open(folder)
    history = _try(run, "history", read_history, folder / "history.csv", opened.plan.task)
    system = None
    if "system.csv" in opened.sha256:
        system = _try(run, "system", read_system, folder / "system.csv")
    members = [_try(run, "member", Provenance.read, path)
               for path in sorted(folder.glob("member*.provenance.json"))]
    return Model(folder, opened.provenance, opened.plan, history or [], system or [], list(filter(None, members)),
                 opened.calibration, temperatures.of_model(opened))


def _read_evaluation(folder: Path) -> Evaluation:
    outputs.check_unaltered(folder / name for name in RESULTS)
    pictures = Overlays.read(folder / "overlays.json")
    outputs.check_unaltered(folder / one.file for one in pictures.overlays)
    outputs.check_unaltered(folder / one.file for one in pictures.thumbnails)
    return Evaluation(folder, table.read(folder / "metrics.csv"), pictures.overlays,
                      tuple(costs.read(folder / costs.TABLE).values()),
                      {one.case: folder / one.file for one in pictures.thumbnails})


def _try(run: Run, what: str, read: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of `read`; if the file cannot be read, add a line to the run's problems and return None."""
    where = next(argument for argument in arguments if isinstance(argument, Path))
    try:
        return read(*arguments)
    except PocketError as error:
        details = "; ".join(getattr(error, "problems", []))
        run.problems.append(f"{what}: {error.what} ({error.where or where})" + (f": {details}" if details else ""))
        if isinstance(error, AlteredError):
            run.altered.append(run.problems[-1])
    except (OSError, ValueError, TypeError, csv.Error) as error:
        run.problems.append(f"{what}: {where} cannot be read: {error}")
    return None


def _folders_with(names: Sequence[str], roots: Iterable[Path], what: str, problems: list[str]) -> list[Path]:
    """Find folders at or below `roots` with a file of one of the names."""
    found = []
    for root in roots:
        here = [folder for folder, files in below(root) if not set(names).isdisjoint(files)]
        if not here:
            problems.append(f"{what}: not found at {root}")
        found += here
    return sorted(found)
