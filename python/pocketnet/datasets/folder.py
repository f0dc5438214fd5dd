"""What every layout's adapter speaks of: cases, problems, names.

Paths in them are relative to the dataset's folder.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError
from .presets import unknown

SUFFIXES = (".nii.gz", ".nii")
CASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong. `case` or `file` is empty where it concerns the whole dataset."""

    case: str
    file: str
    problem: str


@dataclass(frozen=True)
class Case:
    """A case as it lies in the folder; a file that is missing is left out and reported as a problem.

    Attributes:
        name: The case's name.
        images: Modality → path.
        label: Path of the label map; None when there is none.
        class_name: The image's class, in a classification.
        patient: Whom it shows, where the dataset says.
    """

    name: str
    images: Mapping[str, str]
    label: str | None
    class_name: str | None = None
    patient: str | None = None

    @property
    def labelled(self) -> bool:
        """Whether there is something to learn from."""
        return self.label is not None or self.class_name is not None


@dataclass(frozen=True)
class Listing:
    """What an adapter found.

    Attributes:
        modalities: The modalities to use, in order.
        classes: Class name → values, where the folder itself says (`dataset.json`); else None.
        cases: All cases, sorted by name.
        problems: What is wrong with names and files, before any file is opened.
        missing_labels: Label maps that should be there; cases that are said to have none are not among them.
        warnings: What a person should know but may be meant so.
        todo: What to do about the problems, where there is more to say than "mend the files".
        test: The dataset's own list of test cases; None where it has none.
    """

    modalities: tuple[str, ...]
    classes: Mapping[str, tuple[int, ...]] | None
    cases: list[Case]
    problems: list[Problem] = field(default_factory=list)
    missing_labels: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    todo: str = ""
    test: tuple[str, ...] | None = None


def stem(name: str) -> str:
    """A file name without `.nii.gz` or `.nii`."""
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def is_nifti(name: str) -> bool:
    """Whether a file name ends like a NIfTI file."""
    return name.endswith(SUFFIXES)


def visible(folder: Path) -> list[Path]:
    """What lies in a folder, sorted by name; hidden files (such as macOS's `._*` in archives) are ignored."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder that we may read, sorted by name."""
    return [path for path in visible(folder) if path.is_dir() and os.access(path, os.R_OK | os.X_OK)]


def unreadable(error: OSError) -> str:
    """The problem of a file or folder that the system does not let us read."""
    return f"cannot be read: {error.strerror or error}"


def find(folder: Path, relative: str) -> list[str]:
    """The files of a path without suffix: none, one, or `.nii.gz` and `.nii` both."""
    return [relative + suffix for suffix in SUFFIXES if os.path.exists(folder / (relative + suffix))]


def select_modalities(wanted: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The modalities to use, in the order asked for; all when none is asked for.

    Raises:
        UsageError: One is not known, or is asked for twice.
    """
    for name in wanted:
        if name not in known:
            raise unknown("modality", name, known, option="--modalities")
    if len(set(wanted)) != len(wanted):
        raise UsageError("A modality is named twice.", where=f"--modalities {','.join(wanted)}")
    return tuple(wanted or known)


def name_problems(names: Iterable[str]) -> list[Problem]:
    """Case names that cannot be file names everywhere, and names that differ in upper and lower case only."""
    problems = []
    alike = defaultdict(set)
    for name in names:
        alike[name.lower()].add(name)
        if not CASE_NAME.fullmatch(name):
            problems.append(Problem(name, "", "a case's name starts with a letter or digit and has only "
                                              "letters, digits, '_', '-' and '.'"))
    for same in alike.values():
        if len(same) > 1:
            problems += [Problem(name, "", "duplicate name: differs only in upper and lower case from "
                                           + ", ".join(sorted(same - {name}))) for name in sorted(same)]
    return problems
