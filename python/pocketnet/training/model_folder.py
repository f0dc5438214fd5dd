"""The model folder: self-contained, verified when opened, written atomically.

`checksums.json` lists every file with its SHA-256. A folder with a file that differs, is missing or is not listed is
refused. Hidden files (their names start with a dot), `Thumbs.db` and `desktop.ini` may be there: nothing reads them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import files
from ..contracts.calibration import Calibration
from ..contracts.checksums import Checksums
from ..contracts.labels import Label, ModelLabels
from ..contracts.plan import Plan
from ..contracts.provenance import Provenance
from ..errors import AlteredError, DataError, UsageError
from ..preprocessing.intensity import Normaliser
from ..text import by_column
from .shipped import known, shipped

REQUIRED = ("model.keras", "plan.json", "labels.json", "provenance.json", "checksums.json")
CALIBRATION = "calibration.json"
"""The calibration of the statement with each case, which `pocket-calibrate` adds."""
HARMLESS = ("Thumbs.db", "desktop.ini")
"""Files that other programs put into folders, besides hidden ones; nothing reads them."""


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
    """Write `checksums.json` for all other files in a folder that this process wrote."""
    Checksums({name: files.sha256(folder / name) for name in _present(folder)}).write(folder / "checksums.json")


def _present(folder: Path) -> Iterator[str]:
    """Yield the names of everything in a folder and its subfolders but folders, hidden and harmless files, in order."""
    for inner, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (Path(inner) / name).is_symlink()]
        for name in sorted([*names, *links]):
            if not name.startswith(".") and name not in HARMLESS and (inner, name) != (str(folder), "checksums.json"):
                yield (Path(inner) / name).relative_to(folder).as_posix()


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
        sha256: Recorded checksum of each file.
        calibration: Content of `calibration.json`; None without one.
    """

    path: Path
    plan: Plan
    labels: tuple[Label, ...]
    provenance: Provenance
    sha256: dict[str, str]
    calibration: Calibration | None = None

    @property
    def digest(self) -> str:
        """Checksum of all files."""
        return files.digest(self.sha256)

    @property
    def normaliser(self) -> Normaliser:
        """The normalisation of the plan, with the intensity constants of the training fold."""
        return Normaliser(self.plan.preprocessing.normalisation, self.provenance.intensity)

    @classmethod
    def open(cls, path: str | Path) -> ModelFolder:
        """Open and verify a model folder, given its path, that of its network file, or the name of a shipped model.

        Raises:
            UsageError: The folder does not exist.
            DataError: Required files are missing.
            AlteredError: Files were altered, removed or added; the error lists all of them.
        """
        path = folder_of(Path(path))
        if not path.is_dir():
            path = shipped(str(path)) or path
        if not path.is_dir():
            names = known()
            raise UsageError("There is no model folder here.", where=str(path), todo="pocket-train writes it."
                             + (f" Models by name: {', '.join(names)}." if names else ""))
        missing = [name for name in REQUIRED if not (path / name).is_file()]
        if missing:
            raise DataError("The model folder is incomplete.", problems=[f"{n} is missing" for n in missing],
                            where=str(path))
        recorded = Checksums.read(path / "checksums.json").files
        present = list(_present(path))
        problems = [*(f"{name} is missing" for name in recorded if name not in present),
                    *_differing(path, {name: recorded[name] for name in present if name in recorded}),
                    *(f"{name} is not listed in checksums.json" for name in present if name not in recorded)]
        if problems:
            raise AlteredError("The model folder differs from its checksums.", problems=problems, where=str(path),
                               todo="Copy it again from where it was trained, and move files that you added away.")
        labels, provenance = ModelLabels.read(path / "labels.json").labels, Provenance.read(path / "provenance.json")
        calibration = None
        if CALIBRATION in recorded:
            calibration = Calibration.read(path / CALIBRATION)
            _check_calibration(calibration, labels, provenance, path / CALIBRATION)
        return cls(path, Plan.read(path / "plan.json"), labels, provenance, recorded, calibration)

    def copy(self, names: Iterable[str], target: Path) -> dict[str, str]:
        """Copy files to a folder and return their recorded checksums.

        Raises:
            AlteredError: A file was altered after the folder was opened.
        """
        copied = {name: self.sha256[name] for name in names}
        for name in copied:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.path / name, target / name)
        if problems := list(_differing(target, copied)):
            raise AlteredError("The model folder was altered while it was read.", problems=problems,
                               where=str(self.path))
        return copied


def _check_calibration(calibration: Calibration, labels: tuple[Label, ...], provenance: Provenance, where: Path
                       ) -> None:
    """Check that a calibration is of this network.

    Raises:
        DataError: It is not.
    """
    names = [label.name for label in labels]
    found = [one.label for one in calibration.labels]
    problems = [] if provenance.run_key in calibration.run_keys else [
        f"run_keys: found {', '.join(calibration.run_keys)}, expected one to be {provenance.run_key}"]
    problems += [] if found == names else [f"labels: found {', '.join(found)}, expected {', '.join(names)}"]
    if problems:
        raise DataError("This calibration is of another network.", problems=problems, where=str(where),
                        todo="Calibrate the network with pocket-calibrate.")


def _differing(folder: Path, recorded: dict[str, str]) -> Iterator[str]:
    """Yield a line for each recorded file that is missing or has another checksum."""
    for name, checksum in recorded.items():
        if not (folder / name).is_file():
            yield f"{name} is missing"
        elif (found := files.sha256(folder / name)) != checksum:
            yield f"{name} was altered: its SHA-256 is {found}, expected {checksum}"
