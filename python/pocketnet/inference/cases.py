"""Which files make a case, for people who call `pocket-infer` with files or folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..preprocessing.geometry import volumes

SUFFIXES = (".nii.gz", ".nii")


def stem(path: Path, suffixes: Sequence[str] = SUFFIXES) -> str:
    """The file's name without its suffix."""
    for suffix in suffixes:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def group(inputs: Sequence[Path], modalities: Sequence[str],
          suffixes: Sequence[str] = SUFFIXES) -> dict[str, list[Path]]:
    """Files by case, in the model's order of modalities.

    For a model of one modality every file is a case. For several, the files of a case are named
    `<case>_<modality>.nii.gz` (or with a hyphen), or nnU-Net's `<case>_0000.nii.gz`; or they are the volumes of one 4D
    file, as in the decathlon.

    Args:
        inputs: Files, or folders of files.
        suffixes: Of the files to take from folders, and that do not belong to a case's name.

    Raises:
        UsageError: No images, names of no modality, two files for one place, or modalities missing; all named.
    """
    paths = [found for path in inputs for found in _images(path, suffixes)]
    if not paths:
        raise UsageError(f"There are no {' or '.join(suffixes)} files here.", where=", ".join(map(str, inputs)))
    if len(modalities) == 1:
        by_case = {}
        for path in paths:
            case = stem(path, suffixes)
            if case in by_case:
                raise UsageError(f"Two files make the same case {case}.", where=str(path))
            by_case[case] = [path]
        return by_case
    found: dict[str, dict[str, Path]] = {}
    problems = []
    for path in paths:
        case, modality = _split_name(stem(path, suffixes), modalities)
        if modality is None and volumes(path) == len(modalities):
            found[case] = {name: Path(f"{path}[{number}]") for number, name in enumerate(modalities)}
        elif modality is None:
            problems.append(f"{path}: its name ends in no modality")
        elif modality in found.setdefault(case, {}):
            problems.append(f"{path}: a second {modality} of case {case}")
        else:
            found[case][modality] = path
    problems += [f"case {case}: {', '.join(m for m in modalities if m not in files)} missing"
                 for case, files in found.items() if len(files) < len(modalities)]
    if problems:
        raise UsageError("The files do not make whole cases: " + "; ".join(problems) + ".",
                         todo=f"Name them <case>_<modality>{suffixes[0]} with the modalities {', '.join(modalities)}.")
    return {case: [files[m] for m in modalities] for case, files in sorted(found.items())}


def _images(path: Path, suffixes: Sequence[str]) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.name.lower().endswith(tuple(suffixes))
                      and not p.name.startswith("."))
    if not path.exists():
        raise UsageError("There is no such file.", where=str(path))
    return [path]


def _split_name(name: str, modalities: Sequence[str]) -> tuple[str, str | None]:
    for index, modality in enumerate(modalities):
        for ending in (f"_{modality}", f"-{modality}", f"_{index:04d}"):
            if name.endswith(ending):
                return name[: -len(ending)], modality
    return name, None
