"""The layout of BraTS: `<case>/<case>_<modality>.nii.gz` and `<case>/<case>_seg.nii.gz`.

The modality may follow a hyphen (as since 2023) and may have the preset's alternative spellings.

Source: https://www.synapse.org (BraTS); Menze et al., IEEE TMI 34, 1993 (2015).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..preprocessing.formats import images_among, stem, suffix_of
from .folder import (
    Case,
    Listing,
    Problem,
    name_problems,
    select_modalities,
    subfolders,
    unreadable,
    visible,
)
from .presets import Preset

LABEL = "seg"
STRAY_LABEL = re.compile(r".+_Segm")
"""Misnamed label map: in the 2020 download, that of BraTS20_Training_355 is `W39_1998.09.19_Segm.nii`."""


def matches(folder: Path) -> bool:
    """Return whether a folder has this layout: a subfolder has images that start with the subfolder's name."""
    suffixes = _suffixes(folder)
    return any(suffix_of(file.name, suffixes) and _ending(case.name, file.name)
               for case in subfolders(folder) for file in visible(case))


def _suffixes(folder: Path) -> tuple[str, ...]:
    """Return the suffixes of the images in the folders of cases."""
    return images_among(file.name for case in subfolders(folder) for file in visible(case))


def scan(folder: Path, preset: Preset, wanted: Sequence[str]) -> Listing:
    """List the cases of a folder.

    Args:
        folder: The dataset's folder.
        preset: Gives the modalities (None: taken from the file names), their alternative spellings, and the known
            files to ignore.
        wanted: Modalities to use; empty: all.

    Raises:
        UsageError: A wanted modality does not exist.
    """
    known = preset.modalities or _found_modalities(folder, preset)
    modalities = select_modalities(wanted, known)
    suffixes = _suffixes(folder)
    problems: list[Problem] = []
    missing: list[Problem] = []
    warnings: list[str] = []
    cases = []
    for path in visible(folder):
        if path.is_dir():
            try:
                files = visible(path)
            except OSError as error:
                problems.append(Problem(path.name, path.name, unreadable(error)))
                continue
            images = [file for file in files if suffix_of(file.name, suffixes)]
            if images:
                cases.append(_case(path.name, images, preset, known, modalities, problems, missing))
            elif files:
                warnings.append(f"{path.name}: no image in this folder, left out")
            else:
                problems.append(Problem(path.name, path.name, "missing: this case's folder is empty"))
        elif suffix_of(path.name, suffixes):
            problems.append(Problem("", path.name, "extra: it lies in no case's folder, as in "
                                                   f"{_where(path.name, known)}"))
    problems += name_problems(case.name for case in cases)
    return Listing(modalities, None, cases, problems, missing, warnings, _hint(cases, modalities))


def _found_modalities(folder: Path, preset: Preset) -> tuple[str, ...]:
    """Collect the modalities from the file names, for a preset without modalities."""
    suffixes = _suffixes(folder)
    endings = {_ending(case.name, file.name) for case in subfolders(folder) for file in visible(case)
               if suffix_of(file.name, suffixes)}
    return tuple(sorted(endings - {"", LABEL, *preset.extras}))


def _case(name: str, files: Sequence[Path], preset: Preset, known: Sequence[str], modalities: Sequence[str],
          problems: list[Problem], missing: list[Problem]) -> Case:
    """Make a case from the volumes in its folder.

    A missing label is added to `missing`, anything else that is wrong to `problems`.
    """
    found: dict[str, str] = {}
    for path in files:
        relative = f"{name}/{path.name}"
        ending = _ending(name, path.name)
        kind = LABEL if STRAY_LABEL.fullmatch(stem(path.name)) else preset.aliases.get(ending, ending)
        if not kind:
            problems.append(Problem(name, relative, f"extra: a file of this folder starts with {name}_"))
        elif kind in found:
            problems.append(Problem(name, relative, f"duplicate: {found[kind]} is there too"))
        elif kind == LABEL or kind in known:
            found[kind] = relative
        elif kind not in preset.extras:
            problems.append(Problem(name, relative, f"extra: {ending!r} is not one of "
                                                    f"{', '.join((*known, LABEL))}"))
    for kind in (*modalities, LABEL):
        if kind not in found:
            (missing if kind == LABEL else problems).append(
                Problem(name, f"{name}/{name}_{kind}.nii.gz", f"missing: no {kind} file for this case"))
    return Case(name, {m: found[m] for m in modalities if m in found}, found.get(LABEL))


def _ending(case: str, file: str) -> str:
    """Return `flair` for `case1_flair.nii.gz` or `case1-flair.nii.gz` in folder `case1`; empty for other names."""
    rest = stem(file).removeprefix(case)
    return rest[1:] if rest != stem(file) and rest[:1] in ("_", "-") else ""


def _where(file: str, known: Sequence[str]) -> str:
    case = stem(file)
    for kind in (*known, LABEL):
        case = case.removesuffix(f"_{kind}").removesuffix(f"-{kind}")
    return f"{case}/{file}"


def _hint(cases: Sequence[Case], modalities: Sequence[str]) -> str:
    """Suggest using the other modalities if no case has some modality; otherwise return an empty text."""
    there = [m for m in modalities if any(m in case.images for case in cases)]
    if not there or len(there) == len(modalities):
        return ""
    absent = ", ".join(m for m in modalities if m not in there)
    return f"No case has {absent}: use the others with --modalities {','.join(there)}."
