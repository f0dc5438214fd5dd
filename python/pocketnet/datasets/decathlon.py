"""The layout of the Medical Segmentation Decathlon: `dataset.json`, `imagesTr/`, `labelsTr/`.

`dataset.json` names modalities, labels and the training cases. With several modalities there is one file
each, `<case>_0000.nii.gz`, `<case>_0001.nii.gz` …, as nnU-Net lays them; the entry says `<case>.nii.gz`.

Source: http://medicaldecathlon.com; Antonelli et al., Nature Communications 13, 4128 (2022).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from .folder import Case, Listing, Problem, find, name_problems, select_modalities, stem, unreadable, visible
from .presets import Preset

INDEX = "dataset.json"
FOLDERS = ("imagesTr", "labelsTr")


def matches(folder: Path) -> bool:
    """Whether a folder looks like this layout."""
    return (folder / INDEX).is_file() or all((folder / name).is_dir() for name in FOLDERS)


def scan(folder: Path, preset: Preset, wanted: Sequence[str]) -> Listing:
    """List the training cases of a folder.

    Args:
        folder: The dataset's folder.
        preset: Its `modalities`, where given, take the place of those in `dataset.json`.
        wanted: The modalities to use; empty: all.

    Raises:
        UsageError: A wanted modality is not there.
    """
    try:
        index = _read_index(folder / INDEX)
    except (OSError, ValueError) as error:
        fault = unreadable(error) if isinstance(error, OSError) else str(error)
        return Listing(tuple(wanted or preset.modalities or ()), None, [], [Problem("", INDEX, fault)])
    known = preset.modalities or index["modalities"]
    modalities = select_modalities(wanted, known)

    problems: list[Problem] = []
    missing: list[Problem] = []
    warnings: list[str] = []
    cases: dict[str, Case] = {}
    used: set[str] = set()
    for number, entry in enumerate(index["training"]):
        try:
            image, label = _inside(entry["image"]), _inside(entry["label"])
        except (TypeError, KeyError, ValueError) as error:
            problems.append(Problem("", INDEX, f"training[{number}] needs `image` and `label`, paths in this "
                                               f"folder: {error}"))
            continue
        name = stem(PurePosixPath(image).name)
        if name in cases:
            problems.append(Problem(name, image, f"duplicate name: listed more than once in {INDEX}"))
            continue
        images, faults = {}, {}
        for channel, modality in enumerate(known):
            path, fault = _image(folder, image, channel, len(known))
            used.update(path)
            if modality not in modalities:
                continue
            if fault:
                faults.update([fault])
            else:
                images[modality] = path[0]
        problems += [Problem(name, file, fault) for file, fault in faults.items()]
        if label in used:
            problems.append(Problem(name, label, "the label is another entry's file too"))
        used.add(label)
        if not os.path.exists(folder / label):
            missing.append(Problem(name, label, f"missing: {INDEX} lists this label"))
            label = None
        elif stem(PurePosixPath(label).name) != name:
            warnings.append(f"{name}: its label is called {label}")
        cases[name] = Case(name, {m: images[m] for m in modalities if m in images}, label)

    problems += name_problems(cases)
    looked_in = {str(PurePosixPath(path).parent) for path in used} | set(FOLDERS)
    for inner in sorted(looked_in - {"."}):
        try:
            extra = [f"{inner}/{path.name}" for path in visible(folder / inner)]
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(Problem("", inner, unreadable(error)))
            continue
        problems += [Problem("", path, f"extra: not listed in {INDEX}") for path in extra if path not in used]
    if index["count"] not in (None, len(index["training"])):
        warnings.append(f"{INDEX}: numTraining is {index['count']}, "
                        f"but {len(index['training'])} cases are listed")
    return Listing(modalities, index["labels"], [cases[name] for name in sorted(cases)], problems, missing,
                   warnings)


def _read_index(path: Path) -> dict:
    """`modalities`, `labels` (class → values), `training`, `count` of a `dataset.json`.

    Raises:
        ValueError: It is missing, not JSON, or lacks one of these.
    """
    if not path.is_file():
        raise ValueError(f"missing: the decathlon layout has a {INDEX} with cases, modalities and labels")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"not JSON: {error}") from None
    faults = []
    found = {}
    for key, read in (("modality", _modalities), ("labels", _labels), ("training", _training)):
        try:
            found[key] = read(index[key])
        except (KeyError, TypeError, ValueError, AttributeError):
            faults.append(key)
    if faults:
        raise ValueError(f"{' and '.join(faults)} missing or not as in the Medical Segmentation Decathlon")
    count = index.get("numTraining")
    return {"modalities": found["modality"], "labels": found["labels"], "training": found["training"],
            "count": count if isinstance(count, int) else None}


def _modalities(value: dict[str, str]) -> tuple[str, ...]:
    names = tuple(str(value[key]) for key in sorted(value, key=int))
    if not names or max(Counter(names).values()) > 1:
        raise ValueError(value)
    return names


def _labels(value: dict[str, str]) -> dict[str, tuple[int, ...]]:
    """Values of one name are one class; value 0 is background."""
    classes: dict[str, tuple[int, ...]] = {}
    for number in sorted(int(key) for key in value):
        if number != 0:
            name = str(value[str(number)])
            classes[name] = (*classes.get(name, ()), number)
    if not classes:
        raise ValueError(value)
    return classes


def _training(value: list) -> list:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _inside(path: str) -> str:
    """`./imagesTr/x.nii.gz` to `imagesTr/x.nii.gz`.

    Raises:
        ValueError: The path leaves the folder.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.name:
        raise ValueError(f"{path!r} is not a path in this folder")
    return str(pure)


def _image(folder: Path, listed: str, channel: int,
           channels: int) -> tuple[list[str], tuple[str, str] | None]:
    """The files of one modality of an entry, and (file, problem) when there isn't exactly one."""
    whole = os.path.exists(folder / listed)
    if channels == 1 and whole:
        return [listed], None
    numbered = str(PurePosixPath(listed).with_name(f"{stem(PurePosixPath(listed).name)}_{channel:04d}"))
    files = find(folder, numbered)
    if len(files) == 1:
        return files, None
    if files:
        return files, (files[1], f"duplicate: {files[0]} is there too")
    if whole:
        return [listed], (listed, f"{channels} modalities in one file: split it into one 3D file each, "
                                  f"{PurePosixPath(numbered).name}.nii.gz …")
    expected = listed if channels == 1 else f"{numbered}.nii.gz"
    return [], (expected, f"missing: {INDEX} lists this image")
