"""What a run has left in its folders, read back: model folders, evaluations, the comparison, profiles.

Reading is tolerant: a folder that is damaged or lacks a part is told as a problem and does not stop the others,
so that a report can be made of a run that did not finish.
"""

from __future__ import annotations

import csv
import os
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

if TYPE_CHECKING:
    import pandas as pd


C = TypeVar("C", bound=Contract)


@dataclass(frozen=True)
class Model:
    """A model folder.

    Attributes:
        folder: Where it lies.
        provenance: `provenance.json`.
        plan: `plan.json`, None where it is missing.
        history: A dict an epoch, numbers as floats; empty where it is missing.
        system: Likewise, of `system.csv`: what the training took of the machine.
        members: The provenance of each network that it is the mean of; empty where it is a single one.
    """

    folder: Path
    provenance: Provenance
    plan: Plan | None
    history: list[dict[str, float]]
    system: list[dict[str, float]] = field(default_factory=list)
    members: list[Provenance] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For people, for example `unet pocket, fold 0`."""
        return f"{self.provenance.arch} {self.provenance.width}, fold {self.provenance.fold}"


@dataclass(frozen=True)
class Evaluation:
    """An evaluation's folder.

    Attributes:
        folder: Where it lies.
        rows: Its `metrics.csv`.
        overlays: The entries of `overlays.json`.
    """

    folder: Path
    rows: pd.DataFrame
    overlays: tuple[Overlay, ...]

    @property
    def run_key(self) -> str:
        """The key of the training that made the predictions."""
        return self.rows["run_key"].iloc[0]


@dataclass
class Run:
    """All that could be read of a run.

    Attributes:
        comparison: `comparison.json`, None where it is missing.
        comparison_folder: Where it lies.
        models: By architecture, width and fold.
        evaluations: Likewise.
        profiles: The configurations of every `profile.json`.
        problems: What could not be read, a line each.
    """

    comparison: Comparison | None = None
    comparison_folder: Path | None = None
    models: list[Model] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    profiles: list[ProfiledConfiguration] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_run(models: Sequence[Path] = (), evaluations: Sequence[Path] = (), comparison: Path | None = None,
             profiles: Sequence[Path] = ()) -> Run:
    """Read what a run has left.

    Args:
        models: Model folders, or folders that hold some.
        evaluations: Evaluation folders, or folders that hold some.
        comparison: The folder of `comparison.json`.
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
    """Keep one folder a run key: a folder that was given twice, by itself and within another, counts once."""
    run.models = list({model.provenance.run_key: model for model in run.models}.values())
    run.evaluations = list({one.run_key: one for one in run.evaluations}.values())


def read_history(path: Path) -> list[dict[str, float]]:
    """`history.csv` as a dict an epoch.

    Raises:
        ValueError: A field is not a number.
    """
    with open(path, newline="", encoding="utf-8") as handle:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(handle)]


def read_system(path: Path) -> list[dict[str, float]]:
    """`system.csv` as a dict an epoch, without what was not measured.

    Raises:
        ValueError: A field is not a number.
    """
    with open(path, newline="", encoding="utf-8") as handle:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(handle)]


def read_optional(problems: list[str], path: Path | None, kind: type[C]) -> C | None:
    """A file of a contract that may be missing or damaged, which is then a line in `problems`."""
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
    """What `read` returns; None, with a line in `problems`, when the file cannot be read."""
    try:
        return read(*arguments)
    except PocketError as error:
        problems.append(f"{what}: {error.what} ({error.where or arguments[0]})")
    except (OSError, ValueError, TypeError) as error:
        problems.append(f"{what}: {arguments[0]} cannot be read: {error}")
    return None


def _folders_with(name: str, roots: Iterable[Path], what: str, problems: list[str]) -> list[Path]:
    """Every folder at or below `roots` that has a file `name`; links are followed, as schedulers stage by links."""
    found = []
    for root in roots:
        here = [Path(folder) for folder, _, files in os.walk(root, followlinks=True) if name in files]
        if not here:
            problems.append(f"{what}: there is none at {root}")
        found += here
    return sorted(found)
