"""Read the records of a run from its folders: model folders, evaluations, comparison and profiles.

Damaged or incomplete folders are recorded as problems and do not stop the reading of the others. An unfinished run can
therefore be reported.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..contracts.base import Contract
from ..contracts.comparison import Comparison
from ..contracts.overlays import Overlay, Overlays
from ..contracts.plan import Plan
from ..contracts.profile import Profile, ProfiledConfiguration
from ..contracts.provenance import Provenance
from ..errors import PocketError
from ..evaluation import table
from ..files import below, open_table
from ..text import csv_rows

if TYPE_CHECKING:
    import pandas as pd


C = TypeVar("C", bound=Contract)


@dataclass(frozen=True)
class Model:
    """A model folder.

    Attributes:
        folder: Path of the folder.
        provenance: `provenance.json`.
        plan: `plan.json`; None if missing.
        history: Rows of `history.csv`, one dict of floats per epoch; empty if missing.
        system: Rows of `system.csv` (resources used by the training), likewise.
        members: Provenance of each member of an ensemble; empty for a single network.
    """

    folder: Path
    provenance: Provenance
    plan: Plan | None
    history: list[dict[str, float]]
    system: list[dict[str, float]] = field(default_factory=list)
    members: list[Provenance] = field(default_factory=list)

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
    """

    folder: Path
    rows: pd.DataFrame
    overlays: tuple[Overlay, ...]

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
    """

    comparison: Comparison | None = None
    comparison_folder: Path | None = None
    models: list[Model] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    profiles: list[ProfiledConfiguration] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


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
        run.comparison = _try(run.problems, "comparison", Comparison.read, comparison / "comparison.json")
    for folder in _folders_with("provenance.json", models, "model folder", run.problems):
        model = _try(run.problems, "model", _read_model, folder, run.problems)
        if model:
            run.models.append(model)
    for folder in _folders_with("overlays.json", evaluations, "evaluation", run.problems):
        evaluation = _try(run.problems, "evaluation", _read_evaluation, folder)
        if evaluation:
            run.evaluations.append(evaluation)
    for path in profiles:
        profile = _try(run.problems, "profile", Profile.read, path)
        run.profiles += profile.configurations if profile else ()
    run.models.sort(key=lambda model: [getattr(model.provenance, key) for key in ("arch", "width", "fold")])
    run.evaluations.sort(key=lambda one: [one.rows[key].iloc[0] for key in ("arch", "width", "fold")])
    _without_repeats(run)
    return run


def _without_repeats(run: Run) -> None:
    """Keep one folder per run key, in case a folder was given both by itself and within another."""
    run.models = list({model.provenance.run_key: model for model in run.models}.values())
    run.evaluations = list({one.run_key: one for one in run.evaluations}.values())


def read_history(path: Path) -> list[dict[str, float]]:
    """Read `history.csv` as one dict per epoch.

    Raises:
        ValueError: If a field is not a number.
    """
    with open_table(path) as handle:
        return [{name: float(value) for name, value in row.items()} for row in csv_rows(handle)]


def read_system(path: Path) -> list[dict[str, float]]:
    """Read `system.csv` as one dict per epoch, without values that were not measured.

    Raises:
        ValueError: If a field is not a number.
    """
    with open_table(path) as handle:
        return [{name: float(value) for name, value in row.items() if value} for row in csv_rows(handle)]


def read_optional(problems: list[str], path: Path | None, kind: type[C]) -> C | None:
    """Read a file of a contract; if it is missing or damaged, add a line to `problems` and return None."""
    return None if path is None else _try(problems, kind.kind, kind.read, path)


def _read_model(folder: Path, problems: list[str]) -> Model:
    provenance = Provenance.read(folder / "provenance.json")
    plan = _try(problems, "plan", Plan.read, folder / "plan.json")
    history = _try(problems, "history", read_history, folder / "history.csv")
    system = None
    if (folder / "system.csv").is_file():
        system = _try(problems, "system", read_system, folder / "system.csv")
    members = [_try(problems, "member", Provenance.read, path)
               for path in sorted(folder.glob("member*.provenance.json"))]
    return Model(folder, provenance, plan, history or [], system or [], list(filter(None, members)))


def _read_evaluation(folder: Path) -> Evaluation:
    return Evaluation(folder, table.read(folder / "metrics.csv"),
                      Overlays.read(folder / "overlays.json").overlays)


def _try(problems: list[str], what: str, read: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of `read`; if the file cannot be read, add a line to `problems` and return None."""
    try:
        return read(*arguments)
    except PocketError as error:
        problems.append(f"{what}: {error.what} ({error.where or arguments[0]})")
    except (OSError, ValueError, TypeError, csv.Error) as error:
        problems.append(f"{what}: {arguments[0]} cannot be read: {error}")
    return None


def _folders_with(name: str, roots: Iterable[Path], what: str, problems: list[str]) -> list[Path]:
    """Find folders at or below `roots` with a file `name`; follow links, which schedulers use to stage files."""
    found = []
    for root in roots:
        here = [folder for folder, names in below(root) if name in names]
        if not here:
            problems.append(f"{what}: there is none at {root}")
        found += here
    return sorted(found)
