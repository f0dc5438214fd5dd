"""The layout of BIDS: `dataset_description.json`, `sub-*/…/sub-<label>_…_<suffix>.nii.gz`, label maps in a derivative.

A file name is `key-value` entities joined by `_`, then a suffix. The label map of an image is the file of the
derivative that repeats the image's entities; it may have more, such as `desc-manual`, and another suffix, such as
`dseg`. Names that begin with the image's whole name (`sub-1_T1w_seg-manual.nii.gz`) also match. The subject is the
group of a case; `participants.tsv` adds columns.

Source: https://bids-specification.readthedocs.io, Common principles and Imaging derivatives.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import UsageError
from ..preprocessing import folders, formats
from . import rows as tables
from .folder import Case, Listing, Problem, name_problems, select_modalities, subfolders
from .presets import Preset

DESCRIPTION = "dataset_description.json"
PARTICIPANTS = "participants.tsv"
SUBJECT = "participant_id"
DERIVATIVES = "derivatives"
_NAME = re.compile(r"(sub-[A-Za-z0-9+]+(?:_[a-z0-9]+-[A-Za-z0-9+]+)*)_([A-Za-z0-9]+)")
_OF_IMAGES = ("ses", "sample", "acq", "ce", "rec", "run", "echo", "part", "chunk", "stain", "inv", "flip", "mt")
"""Entities that distinguish a subject's images: a file that has one which an image lacks belongs to another image."""


@dataclass(frozen=True)
class Name:
    """A file name of BIDS.

    Attributes:
        path: Path in the dataset's folder.
        entities: Values by key, in order.
        suffix: Last part of the name, such as `T1w`.
    """

    path: str
    entities: dict[str, str] = field(hash=False)
    suffix: str

    @property
    def case(self) -> str:
        """The name of the case: its entities."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())


def matches(folder: Path) -> bool:
    """Return whether a folder has this layout."""
    return (folder / DESCRIPTION).is_file() and is_dataset(folder)


def is_dataset(folder: Path) -> bool:
    """Return whether a folder contains subject folders."""
    return folder.is_dir() and any(path.name.startswith("sub-") for path in subfolders(folder))


def scan(folder: Path, preset: Preset, wanted: Sequence[str]) -> Listing:
    """List the cases of a dataset.

    Args:
        folder: The dataset's folder.
        preset: Its `bids` has the suffix of the images (several, separated by commas, are modalities) and the folder
            of the label maps.
        wanted: Modalities to use; empty: all.

    Raises:
        UsageError: `bids` does not choose among several suffixes of images or kinds of label maps, or its choice does
            not exist.
    """
    images = [name for name in map(parse, images_of(folder)) if name]
    suffixes = _suffixes(preset, images)
    modalities = select_modalities(wanted, suffixes)
    warnings: list[str] = []
    problems: list[Problem] = []
    found: dict[str, dict[str, Name]] = defaultdict(dict)
    for name in (name for name in images if name.suffix in modalities):
        if name.suffix in found[name.case]:
            first = found[name.case][name.suffix].path
            problems.append(Problem(name.case, name.path, f"duplicate: {first} is there too"))
        found[name.case].setdefault(name.suffix, name)
    for case, names in found.items():
        problems += [Problem(case, f"{_folder(names)}/{case}_{modality}.nii.gz", f"missing: this case's {modality}")
                     for modality in modalities if modality not in names]
    labels = _labels(folder, preset, found)
    people = _participants(folder, problems)
    missing = [Problem(case, str(preset.bids.get("labels_from")), "missing: no label map has this image's entities")
               for case in found if case not in labels]
    cases = [Case(case, {m: names[m].path for m in modalities if m in names}, labels.get(case),
                  columns=_columns(next(iter(names.values())), people)) for case, names in sorted(found.items())]
    unknown = sorted({case.columns[SUBJECT] for case in cases} - people.keys()) if people else []
    if unknown:
        warnings.append(f"{PARTICIPANTS} does not list {', '.join(unknown)}")
    return Listing(modalities, None, cases, problems + name_problems(found), missing, warnings)


def parse(path: str) -> Name | None:
    """Return the parts of a file name; None if it is not an image with a BIDS name."""
    plain = _stem(path)
    match = _NAME.fullmatch(plain) if plain else None
    if not match:
        return None
    return Name(path, dict(part.split("-", 1) for part in match[1].split("_")), match[2])


def _stem(path: str) -> str:
    """Return the name of an image's file without its suffix; empty for other files."""
    name = PurePosixPath(path).name
    suffix = formats.suffix_of(name, (*formats.SUFFIXES, *formats.PICTURES))
    return name[: len(name) - len(suffix)] if suffix else ""


def images_of(folder: Path, under: str = "") -> Iterator[str]:
    """Yield the image files in the subject folders, relative to the dataset's folder, sorted by subject.

    Args:
        folder: The dataset's folder.
        under: The folder in it that contains the subject folders, such as a derivative's.
    """
    for subject in (path for path in subfolders(folder / under) if path.name.startswith("sub-")):
        for file in folders.contents(subject).files:
            if _stem(file.name):
                yield file.relative_to(folder).as_posix()


def _folder(names: dict[str, Name]) -> str:
    return str(PurePosixPath(next(iter(names.values())).path).parent)


def _suffixes(preset: Preset, images: Sequence[Name]) -> tuple[str, ...]:
    """Return the suffixes of the images to use."""
    there = Counter(name.suffix for name in images)
    given = preset.bids.get("suffix") or ",".join(preset.modalities or ())
    listed = ", ".join(f"{suffix} ({count})" for suffix, count in sorted(there.items()))
    if not given and len(there) == 1:
        return tuple(there)
    if not given:
        raise UsageError(f"This dataset has images of {len(there)} kinds: {listed}." if there else
                         "This dataset has no image in its subject folders.", where="--suffix",
                         todo="Name those to use, for example --suffix T1w or --suffix T1w,FLAIR.")
    suffixes = tuple(word.strip() for word in given.split(","))
    for suffix in suffixes:
        if suffix not in there:
            raise UsageError(f"This dataset has no image with the suffix {suffix}.", where=f"--suffix {given}",
                             todo=f"There are: {listed or 'none'}.")
    return suffixes


def _labels(folder: Path, preset: Preset, images: dict[str, dict[str, Name]]) -> dict[str, str]:
    """Return the label map of each case, without those that have none."""
    given = preset.bids.get("labels_from") or ""
    under, _, kind = given.partition(":")
    under = under.strip("/") or "."
    choices = [path.relative_to(folder).as_posix() for path in
               (subfolders(folder / DERIVATIVES) if (folder / DERIVATIVES).is_dir() else [])]
    if not given:
        raise UsageError("A BIDS dataset does not say where its label maps are.", where="--labels-from",
                         todo=f"Name their folder: {', '.join(choices) or 'derivatives/NAME'}.")
    if under.startswith("/") or ".." in PurePosixPath(under).parts or not (folder / under).is_dir():
        raise UsageError("There is no such folder in the dataset.", where=f"--labels-from {given}",
                         todo=f"There are: {', '.join(choices) or 'none in derivatives/'}.")
    used = {name.path for names in images.values() for name in names.values()}
    files = [path for path in images_of(folder, under) if path not in used]
    kinds: dict[str, dict[str, str]] = defaultdict(dict)
    for case, names in images.items():
        for path in _of_subject(files, case):
            if (what := _kind(path, names)) is not None:
                kinds[what].setdefault(case, path)
    if kind and kind not in kinds or not kind and len(kinds) > 1:
        listed = ", ".join(f"{what} ({len(found)})" for what, found in sorted(kinds.items()))
        raise UsageError(f"There are no label maps {kind!r} here." if kind else
                         f"There are label maps of {len(kinds)} kinds: {listed}.", where=f"--labels-from {given}",
                         todo=f"Name one: {' or '.join(f'--labels-from {under}:{what}' for what in sorted(kinds))}."
                         if kinds else "No file there has the entities of an image.")
    return kinds[kind] if kind else next(iter(kinds.values()), {})


def _of_subject(files: Sequence[str], case: str) -> list[str]:
    """Return the files whose names begin with the subject of a case."""
    subject = case.split("_")[0] + "_"
    return [path for path in files if PurePosixPath(path).name.startswith(subject)]


def _kind(path: str, names: dict[str, Name]) -> str | None:
    """Return what a derivative's name adds to the name of its image; None if it belongs to another image.

    `sub-1_desc-manual_dseg` adds `desc-manual_dseg` to `sub-1_T1w`, and `sub-1_T1w_seg-manual` adds `seg-manual`.
    """
    plain = _stem(path)
    for name in names.values():
        whole = _stem(name.path)
        if plain.startswith(f"{whole}_"):
            return plain.removeprefix(f"{whole}_")
    name, found = next(iter(names.values())), parse(path)
    if not found or any(found.entities.get(key) != value for key, value in name.entities.items()):
        return None
    more = [f"{key}-{value}" for key, value in found.entities.items() if key not in name.entities]
    if any(key in _OF_IMAGES for key in found.entities.keys() - name.entities.keys()):
        return None
    return "_".join([*more, found.suffix])


def _participants(folder: Path, problems: list[Problem]) -> dict[str, dict[str, str]]:
    """Return the rows of `participants.tsv` by subject; empty without the file."""
    if not (folder / PARTICIPANTS).is_file():
        return {}
    try:
        columns, lines = tables.read(folder / PARTICIPANTS, "\t")
    except ValueError as error:
        problems.append(Problem("", PARTICIPANTS, str(error)))
        return {}
    if lines and SUBJECT not in columns:
        problems.append(Problem("", PARTICIPANTS, f"no column {SUBJECT!r}, tab-separated. Columns: "
                                                  f"{', '.join(filter(None, columns))}"))
        return {}
    return {row[SUBJECT]: row for _, row in lines if row[SUBJECT]}


def _columns(name: Name, people: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the columns of a case: its subject, its other entities, and its row of `participants.tsv`."""
    subject = f"sub-{name.entities['sub']}"
    return {**name.entities, **people.get(subject, {}), SUBJECT: subject}
