"""Group the files and folders given to `pocket-infer` into cases."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError
from ..outputs import real
from ..preprocessing import dicom, folders, formats
from ..preprocessing.geometry import volumes

SUFFIXES = formats.SUFFIXES


@dataclass
class Found:
    """The cases found.

    Attributes:
        cases: The files of each case, in the model's order of modalities, by case name. A name contains `/` if the
            case is in a subfolder of the input folder.
        problems: One line per file or case that cannot be used.
        left_out: One line per kind of files and folders that no case uses: their number and names.
    """

    cases: dict[str, list[Path]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    path: Path
    name: str


def stem(path: Path, suffixes: Sequence[str] = SUFFIXES) -> str:
    """Return the file name without its suffix; both files of a pair have the same one."""
    taken = (*suffixes, *((".img.gz", ".img", *formats.PICTURES) if ".hdr" in suffixes else ()), ".zip", ".dcm")
    return path.name[: len(path.name) - len(formats.suffix_of(path.name, taken))]


def suffix(path: Path) -> str:
    """Return the suffix of an image's label map: `.nii` for a `.nii` image, otherwise `.nii.gz`."""
    return ".nii" if path.name.lower().endswith(".nii") else ".nii.gz"


def group(inputs: Sequence[Path], modalities: Sequence[str], suffixes: Sequence[str] = SUFFIXES,
          pattern: str | None = None, outside: Path | None = None, missing: Sequence[str] = (), *,
          slices: bool = False) -> Found:
    """Group files by case.

    For a model with one modality, every file is a case, and so is every DICOM series (a folder or zip of its files).
    For a model with several modalities, the files of a case are given in one of these ways:

    - by name, as `<case>_<modality>.nii.gz` or `<case>-<modality>.nii.gz`;
    - by nnU-Net's names, as `<case>_0000.nii.gz`;
    - by `pattern`;
    - as the volumes of one 4D file, as in the Medical Segmentation Decathlon, or the channels of an image in colours;
    - individually as `modality=file`, for a single case.

    Args:
        inputs: Files, or folders of files.
        modalities: The model's modalities, in order.
        suffixes: Suffixes of the files to read from folders; case names exclude them.
        pattern: Position of case and modality in a path, for example `{case}/{modality}.nii.gz`.
        outside: Folder of the results, which is ignored unless the inputs lie in it.
        missing: Modalities that the cases lack; files of them are not used.
        slices: Whether the 2D images of a folder without volumes are cases, too; a file that is named always is.

    Raises:
        UsageError: There are no images, a path does not exist, or the pattern lacks `{case}` or `{modality}`.
    """
    named, rest = _named(inputs, modalities)
    needed = [name for name in modalities if name not in missing]
    out = _explicit(named, modalities, suffixes, needed) if named else Found()
    files = [file for path in rest for file in _files(path, suffixes, outside, out)]
    if slices and not files and rest:
        out.left_out.clear()
        suffixes = formats.PICTURES
        files = [file for path in rest for file in _files(path, suffixes, outside, out)]
    if not files and not named and not out.problems:
        first, *more = " or ".join(suffixes[:2]), *suffixes[2:]
        raise UsageError(f"There are no {first} files here, nor {', '.join((*more, 'a DICOM series'))}.",
                         where=", ".join(map(str, inputs)), todo="; ".join(out.left_out) or None)
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
        coloured = formats.is_picture(file.path.name)
        number = volumes(file.path) if (modality is None or coloured) and not pattern else 0
        if number == len(modalities):
            found[case] = {name: Path(f"{file.path}[{index}]") for index, name in enumerate(modalities)}
        elif modality is None:
            out.problems.append(f"{file.path}: {_misfit(number, modalities, pattern)}")
        elif modality in found.setdefault(case, {}):
            out.problems.append(f"{file.path}: a second {modality} of case {case}")
        else:
            found[case][modality] = file.path
    for case, by_modality in sorted(found.items()):
        lacking = [m for m in needed if m not in by_modality]
        if lacking:
            out.problems.append(f"case {case}: {', '.join(lacking)} missing")
        else:
            out.cases[case] = [by_modality[m] for m in needed]
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


def _files(path: Path, suffixes: Sequence[str], outside: Path | None, out: Found) -> list[_File]:
    """Return the files of a path: the file itself, the images below a folder, or the DICOM series in or below it.

    What else the folder holds is added to `out`.
    """
    if not os.path.lexists(path):
        raise UsageError("There is no such file.", where=str(path))
    if not path.is_dir():
        return [_File(path, stem(path, suffixes))]
    away = real(outside) if outside and not real(path).is_relative_to(real(outside)) else None
    found = folders.contents(path, without=lambda folder: away is not None and real(folder) == away)
    out.problems += [f"{link}: this is a link to {os.readlink(link)}, which is not there"
                     for link in found.take_out(folders.DANGLING, lambda link: _is_image(link, suffixes))]
    images = sorted(file for file in found.files if _is_image(file, suffixes))
    series = [one for one in (*found.folders, *found.files) if dicom.is_series(one)]
    inside = {one for one in series if one.is_dir()}
    if images:
        for one in series:
            found.leave_out("DICOM series beside images", one)
    pairs = {(file.parent, stem(file, suffixes)) for file in images}
    for file in found.files:
        if file not in series and file.parent not in inside and not _is_image(file, suffixes) \
                and (file.parent, _stem_of_voxels(file)) not in pairs:
            found.leave_out(folders.kind_of(file), file)
    out.left_out += folders.summary(found.left_out, path)
    taken = images or sorted(series)
    return [_File(one, real(path).name if one == path
                  else one.relative_to(path).as_posix() if one.is_dir() else _name(one, suffixes, path))
            for one in taken]


def _name(file: Path, suffixes: Sequence[str], folder: Path) -> str:
    """Return the name of a case: the path of its file below the input folder, without the suffix."""
    return (file.relative_to(folder).parent / stem(file, suffixes)).as_posix()


def _is_image(path: Path, suffixes: Sequence[str]) -> bool:
    return bool(formats.suffix_of(path.name, suffixes))


def _stem_of_voxels(path: Path) -> str:
    """Return the stem of a file with the voxels of a header file; for other files, the whole name."""
    return path.name[: len(path.name) - len(formats.suffix_of(path.name, formats.VOXELS))]


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


def _explicit(named: Sequence[tuple[str, Path]], modalities: Sequence[str], suffixes: Sequence[str],
              needed: Sequence[str]) -> Found:
    files: dict[str, Path] = {}
    for modality, path in named:
        if modality in files:
            raise UsageError(f"Two files are given as {modality}.", where=f"{files[modality]}, {path}")
        if not os.path.lexists(path):
            raise UsageError("There is no such file.", where=str(path))
        files[modality] = path
    case = _split_name(stem(files[named[0][0]], suffixes), modalities)[0]
    lacking = [m for m in needed if m not in files]
    if lacking:
        return Found(problems=[f"case {case}: {', '.join(lacking)} missing"])
    return Found({case: [files[m] for m in needed]})


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
