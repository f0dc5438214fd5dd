"""The model folder: self-contained, verified when opened, written atomically."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import files, outputs
from ..contracts.checksums import Checksums
from ..contracts.labels import Label, ModelLabels
from ..contracts.plan import Plan
from ..contracts.provenance import Provenance
from ..errors import DataError, UsageError
from ..preprocessing.intensity import Normaliser
from ..text import by_column

REQUIRED = ("model.keras", "plan.json", "labels.json", "provenance.json", "checksums.json")


def history_csv(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    """Format history rows as CSV."""
    return by_column(columns, rows, "%r")


def write_records(folder: Path, plan: Plan, provenance: Provenance, history: str) -> None:
    """Write all records of a model folder, but not the network. Write the checksums of all files last."""
    plan.write(folder / "plan.json")
    ModelLabels(plan.modalities, plan.labels).write(folder / "labels.json")
    files.write_text(folder / "history.csv", history)
    provenance.write(folder / "provenance.json")
    write_checksums(folder)


def write_checksums(folder: Path) -> None:
    """Write `checksums.json` for all other files in the folder and its subfolders."""
    names = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    for name in ("checksums.json", outputs.MARKER):
        names.pop(name, None)
    Checksums({name: files.sha256(names[name]) for name in sorted(names)}).write(folder / "checksums.json")


def folder_of(path: Path) -> Path:
    """Return the model folder for a path to the folder or to its network file."""
    return path.parent if path.suffix in (".keras", ".xml") and path.is_file() else path


@dataclass(frozen=True)
class ModelFolder:
    """A verified folder of a trained model.

    Attributes:
        path: The folder.
        plan: The plan of the training, also used for preprocessing and inference.
        labels: The model's classes.
        provenance: Content of `provenance.json`.
        digest: Checksum of all files.
    """

    path: Path
    plan: Plan
    labels: tuple[Label, ...]
    provenance: Provenance
    digest: str

    @property
    def normaliser(self) -> Normaliser:
        """The normalisation of the plan, with the intensity constants of the training fold."""
        return Normaliser(self.plan.preprocessing.normalisation, self.provenance.intensity)

    @classmethod
    def open(cls, path: str | Path) -> ModelFolder:
        """Open and verify a model folder, given its path or that of its network file.

        Raises:
            UsageError: The folder does not exist.
            DataError: Files are missing or were altered; the error lists all of them.
        """
        path = folder_of(Path(path))
        if not path.is_dir():
            raise UsageError("There is no model folder here.", where=str(path), todo="pocket-train writes it.")
        missing = [name for name in REQUIRED if not (path / name).is_file()]
        if missing:
            raise DataError("The model folder is incomplete.", problems=[f"{n} is missing" for n in missing],
                            where=str(path))
        recorded = Checksums.read(path / "checksums.json").files
        problems = []
        for name, checksum in recorded.items():
            if not (path / name).is_file():
                problems.append(f"{name} is missing")
            elif files.sha256(path / name) != checksum:
                problems.append(f"{name} was altered: its checksum is not the recorded one")
        if problems:
            raise DataError("The model folder is not as it was written.", problems=problems, where=str(path),
                            todo="Copy it again from where it was trained.")
        return cls(path, Plan.read(path / "plan.json"), ModelLabels.read(path / "labels.json").labels,
                   Provenance.read(path / "provenance.json"), files.digest(recorded))
