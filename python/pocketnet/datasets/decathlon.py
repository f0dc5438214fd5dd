"""The layout of the Medical Segmentation Decathlon and of nnU-Net: `dataset.json`, `imagesTr/`, `labelsTr/`.

`dataset.json` lists modalities, labels and training cases (`index.py`). Several modalities are either the volumes of
one 4D file `<case>.nii.gz` (decathlon) or separate files `<case>_0000.nii.gz`, `<case>_0001.nii.gz` … (nnU-Net).

Source: http://medicaldecathlon.com; Antonelli et al., Nature Communications 13, 4128 (2022).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..preprocessing.formats import beside, is_picture, stem
from ..preprocessing.geometry import file_and_volume, volumes
from . import index as indices
from .folder import Case, Listing, Problem, find, name_problems, select_modalities, unreadable, visible
from .index import FOLDERS, INDEX
from .presets import Preset


def matches(folder: Path) -> bool:
    """Return whether a folder has this layout."""
    return (folder / INDEX).is_file() or all((folder / name).is_dir() for name in FOLDERS)


def scan(folder: Path, preset: Preset, wanted: Sequence[str]) -> Listing:
    """List the training cases of a folder.

    Args:
        folder: The dataset's folder.
        preset: Its `modalities`, if given, replace those in `dataset.json`.
        wanted: Modalities to use; empty: all.

    Raises:
        UsageError: A wanted modality does not exist.
    """
    try:
        index = indices.read(folder)
    except (OSError, ValueError) as error:
        fault = unreadable(error) if isinstance(error, OSError) else str(error)
        return Listing(tuple(wanted or preset.modalities or ()), None, [], [Problem("", INDEX, fault)])
    known = preset.modalities or index.modalities
    modalities = select_modalities(wanted, known)

    problems: list[Problem] = []
    missing: list[Problem] = []
    warnings: list[str] = []
    cases: dict[str, Case] = {}
    used: set[str] = set()
    for number, entry in enumerate(index.training):
        label: str | None
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
        images: dict[str, str] = {}
        faults: dict[str, str] = {}
        for channel, modality in enumerate(known):
            path, wrong = _image(folder, image, channel, len(known))
            used.update(file_and_volume(name)[0] for name in path)
            if modality not in modalities:
                continue
            if wrong:
                faults.update([wrong])
            else:
                images[modality] = path[0]
        problems += [Problem(name, file, text) for file, text in faults.items()]
        if label in used:
            problems.append(Problem(name, label, "the label is another entry's file too"))
        used.add(label)
        if not os.path.exists(folder / label):
            missing.append(Problem(name, label, "missing: this case's label"))
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
        voxels = {path for file in used for path in beside(file)}
        problems += [Problem("", path, f"extra: not listed in {INDEX}") for path in extra if path not in used | voxels]
    if index.count not in (None, len(index.training)):
        warnings.append(f"{INDEX}: numTraining is {index.count}, but {len(index.training)} cases are listed")
    return Listing(modalities, index.classes, [cases[name] for name in sorted(cases)], problems, missing,
                   warnings)


def _inside(path: str) -> str:
    """Normalise a path: `./imagesTr/x.nii.gz` becomes `imagesTr/x.nii.gz`.

    Raises:
        ValueError: The path points outside the folder.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.name:
        raise ValueError(f"{path!r} is not a path in this folder")
    return str(pure)


def _image(folder: Path, listed: str, channel: int,
           channels: int) -> tuple[list[str], tuple[str, str] | None]:
    """Return the files of one modality of an entry, and (file, problem) unless there is exactly one.

    A modality in a 4D file, or in an image in colours, is returned as the file with the index of the volume
    (`geometry.file_and_volume`).
    """
    whole = os.path.exists(folder / listed)
    if channels == 1 and whole:
        return [listed], None
    numbered = str(PurePosixPath(listed).with_name(f"{stem(PurePosixPath(listed).name)}_{channel:04d}"))
    files = find(folder, numbered)
    # nnU-Net: an image in colours is one file, with the number of its first channel.
    first = files if channel == 0 else find(folder, f"{numbered[:-4]}0000")
    if channels > 1 and len(first) == 1 and is_picture(first[0]) and volumes(folder / first[0]) == channels:
        return [f"{first[0]}[{channel}]"], None
    if len(files) == 1:
        return files, None
    if files:
        return files, (files[1], f"duplicate: {files[0]} is there too")
    if whole:
        return [f"{listed}[{channel}]"], None
    expected = listed if channels == 1 else f"{numbered}.nii.gz"
    return [], (expected, f"missing: {INDEX} lists this image")
