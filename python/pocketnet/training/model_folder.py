"""The model folder: self-sufficient, checked, written whole."""

from __future__ import annotations

import csv
import io
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

REQUIRED = ("model.keras", "plan.json", "labels.json", "provenance.json", "checksums.json")


def history_csv(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    """History rows as CSV text."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_records(folder: Path, plan: Plan, provenance: Provenance, history: str) -> None:
    """Write everything of a model folder beside the network itself, the checksums over all of it last."""
    plan.write(folder / "plan.json")
    ModelLabels(plan.modalities, plan.labels).write(folder / "labels.json")
    files.write_text(folder / "history.csv", history)
    provenance.write(folder / "provenance.json")
    write_checksums(folder)


def write_checksums(folder: Path) -> None:
    """Write `checksums.json` over every other file of the folder, and of folders in it."""
    names = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    for name in ("checksums.json", outputs.MARKER):
        names.pop(name, None)
    Checksums({name: files.sha256(names[name]) for name in sorted(names)}).write(folder / "checksums.json")


def folder_of(path: Path) -> Path:
    """The model folder that is named by itself or by its network's file."""
    return path.parent if path.suffix in (".keras", ".xml") and path.is_file() else path


@dataclass(frozen=True)
class ModelFolder:
    """A trained model's folder, verified.

    Attributes:
        path: The folder.
        plan: What it was trained by; preprocessing and inference follow it.
        labels: Its classes.
        provenance: `provenance.json`.
        digest: Checksum of all of its files.
    """

    path: Path
    plan: Plan
    labels: tuple[Label, ...]
    provenance: Provenance
    digest: str

    @property
    def normaliser(self) -> Normaliser:
        """By the plan's scheme and the constants of the fold that it was trained on."""
        return Normaliser(self.plan.preprocessing.normalisation, self.provenance.intensity)

    @classmethod
    def open(cls, path: str | Path) -> ModelFolder:
        """Open and verify a model folder, named by itself or by its network's file.

        Raises:
            UsageError: There is no such folder.
            DataError: A file is missing or was altered; all are named.
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
