"""Types and functions that all layout adapters share: cases, problems, file names.

Paths are relative to the dataset's folder.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..contracts.fields import path_fault, text_fault
from ..errors import UsageError
from ..preprocessing.formats import IMAGES
from ..preprocessing.formats import is_volume as is_volume
from ..preprocessing.formats import stem as stem
from .presets import unknown

if TYPE_CHECKING:
    from .labels import Classes

CASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, order=True)
class Problem:
    """One problem. `case` or `file` is empty if the problem concerns the whole dataset."""

    case: str
    file: str
    problem: str


@dataclass(frozen=True)
class Case:
    """The files of a case. Missing files are omitted and reported as problems.

    Attributes:
        name: Name of the case.
        images: Path by modality.
        label: Path of the label map; None without one.
        class_name: Class of the image in a classification.
        columns: Other values in the dataset's table, by column, such as `patient`.
        group: Cases of one group stay in one part of each split; None if unknown.
        stratum: Value to stratify by, if asked for.
        annotated: Names of the labels that are annotated in the case; None: all.
    """

    name: str
    images: Mapping[str, str]
    label: str | None
    class_name: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    stratum: str | None = None
    annotated: tuple[str, ...] | None = None

    @property
    def labelled(self) -> bool:
        """Whether the case has a label map or a class."""
        return self.label is not None or self.class_name is not None


@dataclass(frozen=True)
class Listing:
    """The cases that an adapter found.

    Attributes:
        modalities: The modalities to use, in order.
        classes: Label values by class name, if the folder defines them (`dataset.json`); otherwise None.
        cases: All cases, sorted by name.
        problems: Problems with names and files, found before any file is opened.
        missing_labels: Missing label maps, except those of cases that the dataset lists without a label.
        warnings: Unusual findings that may be intended.
        todo: Advice on the problems, beyond "fix the files".
        test: The dataset's own list of test cases; None without one.
    """

    modalities: tuple[str, ...]
    classes: Classes | None
    cases: list[Case]
    problems: list[Problem] = field(default_factory=list)
    missing_labels: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    todo: str = ""
    test: tuple[str, ...] | None = None


def visible(folder: Path) -> list[Path]:
    """List a folder, sorted by name, without hidden files (such as macOS's `._*` in archives)."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def subfolders(folder: Path) -> list[Path]:
    """List the readable subfolders of a folder, sorted by name."""
    return [path for path in visible(folder) if path.is_dir() and os.access(path, os.R_OK | os.X_OK)]


def unreadable(error: OSError) -> str:
    """Return the problem text for a file or folder that cannot be read."""
    return f"cannot be read: {error.strerror or error}"


def find(folder: Path, relative: str) -> list[str]:
    """Return the existing files of images for a path without suffix; several or none are possible."""
    return [relative + one for suffix in IMAGES for one in (suffix, suffix.upper())
            if os.path.exists(folder / (relative + one))]


def select_modalities(wanted: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the wanted modalities in the given order, or all known ones if none are given.

    Raises:
        UsageError: A modality is unknown or given twice.
    """
    for name in wanted:
        if name not in known:
            raise unknown("modality", name, known, option="--modalities")
    if len(set(wanted)) != len(wanted):
        raise UsageError("A modality is named twice.", where=f"--modalities {','.join(wanted)}")
    return tuple(wanted or known)


def text_problems(texts: Mapping[str, Iterable[str]]) -> list[Problem]:
    """Return problems for names of labels, modalities and the dataset, by what they name."""
    return [Problem("", "", f"{what} {text[:80]!r}: expected {fault}")
            for what, names in texts.items() for text in names if (fault := text_fault(text))]


def path_problems(cases: Iterable[Case]) -> list[Problem]:
    """Return problems for file names that a manifest cannot contain."""
    return [Problem(case.name, path, f"expected {fault}") for case in cases
            for path in (*case.images.values(), *filter(None, [case.label])) if (fault := path_fault(path))]


def name_problems(names: Iterable[str]) -> list[Problem]:
    """Return problems for case names that are not portable file names or differ only in upper and lower case."""
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
