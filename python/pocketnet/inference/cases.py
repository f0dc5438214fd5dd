"""Group the files and folders given to `pocket-infer` into cases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError
from ..preprocessing import dicom
from ..preprocessing.geometry import volumes

SUFFIXES = (".nii.gz", ".nii")


@dataclass
class Found:
    """The cases found.

    Attributes:
        cases: The files of each case, in the model's order of modalities, by case name. A name contains `/` if the
            case is in a subfolder of the input folder.
        problems: One line per file or case that cannot be used.
    """

    cases: dict[str, list[Path]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    path: Path
    name: str


def stem(path: Path, suffixes: Sequence[str] = SUFFIXES) -> str:
    """Return the file name without its suffix."""
    for suffix in (*suffixes, ".zip"):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def suffix(path: Path) -> str:
    """Return the suffix of an image's label map: `.nii` for a `.nii` image, otherwise `.nii.gz`."""
    return ".nii" if path.name.lower().endswith(".nii") else ".nii.gz"


def group(inputs: Sequence[Path], modalities: Sequence[str], suffixes: Sequence[str] = SUFFIXES,
          pattern: str | None = None, outside: Path | None = None) -> Found:
    """Group files by case.

    For a model with one modality, every file is a case, and so is every DICOM series (a folder or zip of its files).
    For a model with several modalities, the files of a case are given in one of these ways:

    - by name, as `<case>_<modality>.nii.gz` or `<case>-<modality>.nii.gz`;
    - by nnU-Net's names, as `<case>_0000.nii.gz`;
    - by `pattern`;
    - as the volumes of one 4D file, as in the Medical Segmentation Decathlon;
    - individually as `modality=file`, for a single case.

    Args:
        inputs: Files, or folders of files.
        modalities: The model's modalities, in order.
        suffixes: Suffixes of the files to read from folders; case names exclude them.
        pattern: Position of case and modality in a path, for example `{case}/{modality}.nii.gz`.
        outside: Folder to ignore, because the results go there.

    Raises:
        UsageError: There are no images, a path does not exist, or the pattern lacks `{case}` or `{modality}`.
    """
    named, rest = _named(inputs, modalities)
    files = [file for path in rest for file in _files(path, suffixes, outside)]
    out = _explicit(named, modalities, suffixes) if named else Found()
    if not files and not named:
        raise UsageError(f"There are no {' or '.join(suffixes)} files here, nor a DICOM series.",
                         where=", ".join(map(str, inputs)))
    if len(modalities) == 1 and pattern is None:
        for file in files:
            if file.name in out.cases:
                out.problems.append(f"{file.path}: a second case called {file.name}, beside {out.cases[file.name][0]}")
            else:
                out.cases[file.name] = [file.path]
        return out
    found: dict[str, dict[str, Path]] = {}
    for file in files:
        case, modality = _by_pattern(file.path, modalities, pattern) if pattern else _split_name(file.name, modalities)
        number = volumes(file.path) if modality is None and not pattern else 0
        if number == len(modalities):
            found[case] = {name: Path(f"{file.path}[{index}]") for index, name in enumerate(modalities)}
        elif modality is None:
            out.problems.append(f"{file.path}: {_misfit(number, modalities, pattern)}")
        elif modality in found.setdefault(case, {}):
            out.problems.append(f"{file.path}: a second {modality} of case {case}")
        else:
            found[case][modality] = file.path
    for case, by_modality in sorted(found.items()):
        missing = [m for m in modalities if m not in by_modality]
        if missing:
            out.problems.append(f"case {case}: {', '.join(missing)} missing")
        else:
            out.cases[case] = [by_modality[m] for m in modalities]
    return out


def naming(modalities: Sequence[str]) -> str:
    """Return a hint for messages about how to name files."""
    return (f"Name them <case>_<modality>.nii.gz with the modalities {', '.join(modalities)}, say how they are named "
            f"with --pattern, or give one case as {' '.join(f'{m}=FILE' for m in modalities)}.")


def _misfit(number: int, modalities: Sequence[str], pattern: str | None) -> str:
    if pattern:
        return f"it does not fit the pattern {pattern} with one of {', '.join(modalities)}"
    if number > 1:
        return f"it has {number} volumes, the model takes {len(modalities)} ({', '.join(modalities)})"
    return "its name ends in no modality"


def _files(path: Path, suffixes: Sequence[str], outside: Path | None) -> list[_File]:
    """Return the files of a path: the file itself, the images below a folder, or the DICOM series in or below it."""
    if not path.exists():
        raise UsageError("There is no such file.", where=str(path))
    if not path.is_dir():
        return [_File(path, stem(path, suffixes))]
    away = outside.resolve() if outside else None
    below = [p for p in sorted(path.rglob("*")) if not any(part.startswith(".") for part in p.relative_to(path).parts)
             and (away is None or away == path.resolve() or away not in p.resolve().parents)]
    images = [p for p in below if p.is_file() and p.name.lower().endswith(tuple(suffixes))]
    if images:
        return [_File(p, (p.relative_to(path).parent / stem(p, suffixes)).as_posix()) for p in images]
    series = [p for p in (path, *below) if dicom.is_series(p)]
    return [_File(p, path.resolve().name if p == path else stem(p.relative_to(path), suffixes) if p.is_file()
                  else p.relative_to(path).as_posix()) for p in series]


def _named(inputs: Sequence[Path], modalities: Sequence[str]) -> tuple[list[tuple[str, Path]], list[Path]]:
    """Split the inputs into those of the form `modality=file` and all others."""
    named, rest = [], []
    for path in inputs:
        name, equals, file = str(path).partition("=")
        if equals and name in modalities and not path.exists():
            named.append((name, Path(file)))
        else:
            rest.append(path)
    return named, rest


def _explicit(named: Sequence[tuple[str, Path]], modalities: Sequence[str], suffixes: Sequence[str]) -> Found:
    files: dict[str, Path] = {}
    for modality, path in named:
        if modality in files:
            raise UsageError(f"Two files are given as {modality}.", where=f"{files[modality]}, {path}")
        if not path.exists():
            raise UsageError("There is no such file.", where=str(path))
        files[modality] = path
    case = _split_name(stem(files[named[0][0]], suffixes), modalities)[0]
    missing = [m for m in modalities if m not in files]
    if missing:
        return Found(problems=[f"case {case}: {', '.join(missing)} missing"])
    return Found({case: [files[m] for m in modalities]})


def _split_name(name: str, modalities: Sequence[str]) -> tuple[str, str | None]:
    for index, modality in enumerate(modalities):
        for ending in (f"_{modality}", f"-{modality}", f"_{index:04d}"):
            if name.endswith(ending):
                return name[: -len(ending)], modality
    return name, None


def _by_pattern(path: Path, modalities: Sequence[str], pattern: str) -> tuple[str, str | None]:
    if "{case}" not in pattern or "{modality}" not in pattern:
        raise UsageError("A pattern needs {case} and {modality}.", where=f"--pattern {pattern}")
    known = "|".join(map(re.escape, modalities))
    first, *parts = re.split(r"(\{case\}|\{modality\})", pattern)
    expression, seen = re.escape(first), set()
    for part in parts:
        if part not in ("{case}", "{modality}"):
            expression += re.escape(part)
        elif part in seen:
            expression += f"(?P={part[1:-1]})"
        else:
            expression += "(?P<case>[^/]+?)" if part == "{case}" else f"(?P<modality>{known})"
            seen.add(part)
    match = re.search(rf"(?:^|/){expression}$", path.as_posix())
    return (match["case"], match["modality"]) if match else (stem(path), None)
