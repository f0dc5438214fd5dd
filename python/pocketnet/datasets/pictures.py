"""Functions that the layouts of 2D images share: make cases from file names, compare listed and existing images."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..preprocessing.picture import SUFFIXES
from .folder import Case, Listing, Problem, name_problems, select_modalities, visible
from .presets import Preset

MOST_UNLISTED = 10


@dataclass(frozen=True)
class Entry:
    """A line of a list of images.

    Attributes:
        line: List and line number, for messages.
        folder: Folder of the image, relative to the dataset's folder.
        file: File name of the image.
        class_name: Class of the image.
        test: Whether the image belongs to the dataset's test set.
        columns: What the list says of the image besides, such as `patient`.
    """

    line: str
    folder: str
    file: str
    class_name: str
    test: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Path of the image, relative to the dataset's folder."""
        return f"{self.folder}/{self.file}"


def is_picture(name: str) -> bool:
    """Return whether a file name has the suffix of a 2D image."""
    return name.lower().endswith(SUFFIXES)


def listing(folder: Path, preset: Preset, wanted: Sequence[str], entries: Sequence[Entry],
            problems: Sequence[Problem], has_test: bool) -> Listing:
    """Convert entries to cases and collect their problems.

    Args:
        folder: The dataset's folder.
        preset: Gives the single modality and, if known, the classes.
        wanted: Modalities to use; empty: all.
        entries: The lines of the lists, in order.
        problems: Problems that the adapter has already found.
        has_test: Whether the dataset has its own test list.

    Raises:
        UsageError: A wanted modality does not exist.
    """
    modalities = select_modalities(wanted, preset.modalities or ("image",))
    problems, warnings = list(problems), []
    there = {name: {path.name for path in visible(folder / name) if is_picture(path.name)}
             for name in sorted({entry.folder for entry in entries}) if (folder / name).is_dir()}
    for where, files in there.items():
        unlisted = sorted(files - {entry.file for entry in entries if entry.folder == where})
        if unlisted:
            more = f" … ({len(unlisted)} images)" if len(unlisted) > MOST_UNLISTED else ""
            warnings.append(f"{where}/: not listed, left out: {', '.join(unlisted[:MOST_UNLISTED])}{more}")
    stems = Counter(PurePosixPath(entry.file).stem for entry in {entry.path: entry for entry in entries}.values())
    cases: dict[str, Case] = {}
    seen: dict[str, Entry] = {}
    for entry in entries:
        plain = PurePosixPath(entry.file).stem
        name = re.sub(r"[^A-Za-z0-9._-]", "_", plain if stems[plain] == 1 else entry.file)
        name = name if re.match(r"[A-Za-z0-9]", name) else f"image{name}"
        if entry.path in seen:
            problems.append(Problem(name, entry.path, f"duplicate: listed in {seen[entry.path].line} and {entry.line}"))
            continue
        seen[entry.path] = entry
        if entry.file not in there.get(entry.folder, ()):
            problems.append(Problem(name, entry.path, f"missing: {entry.line} lists it, but it is not there"))
        if preset.classes and entry.class_name not in preset.classes:
            near = difflib.get_close_matches(entry.class_name.lower(), preset.classes, n=1)
            problems.append(Problem(name, entry.path, f"unknown class {entry.class_name!r} in {entry.line}"
                                    + (f", did you mean {near[0]}?" if near else "")
                                    + f" Known: {', '.join(preset.classes)}"))
        if name in cases:
            problems.append(Problem(name, entry.path, f"duplicate name: {cases[name].images[modalities[0]]} makes the "
                                                      "same case"))
            continue
        cases[name] = Case(name, {modalities[0]: entry.path}, None, entry.class_name, entry.columns)
    problems += name_problems(cases)
    by_path = {case.images[modalities[0]]: case.name for case in cases.values()}
    test = tuple(sorted({by_path[e.path] for e in entries if e.test and e.path in by_path})) if has_test else None
    found = [cases[name] for name in sorted(cases)]
    return Listing(modalities[:1], None, found, problems, warnings=warnings, test=test)
