"""Layouts that a preset defines by file name templates: LiTS, NFBS and user datasets.

The template `volume-{case}` matches `volume-<any name>.nii.gz`, or another suffix of a volume, in any folder of the
dataset. A template can contain folders and several `{case}`: `{case}/sub-{case}_T1w`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ..preprocessing import folders, formats
from .folder import Case, Listing, Problem, name_problems, select_modalities
from .presets import Preset

LABEL = "label"


def matches(folder: Path, preset: Preset) -> bool:
    """Return whether a folder has this layout: some file matches an image template."""
    patterns = [_pattern(template) for template in _files_of(preset)["images"].values()]
    return any(pattern.fullmatch(path) for path in _files(folder) for pattern in patterns)


def describe(preset: Preset) -> str:
    """Describe the layout for messages."""
    images = ", ".join(f"{template}.nii.gz" for template in _files_of(preset)["images"].values())
    return f"{images} with {_files_of(preset)['label']}.nii.gz"


def scan(folder: Path, preset: Preset, wanted: Sequence[str]) -> Listing:
    """List the cases of a folder.

    Args:
        folder: The dataset's folder.
        preset: Its `files` has the templates of the modalities, the label map and the files to ignore.
        wanted: Modalities to use; empty: all.

    Raises:
        UsageError: The preset lacks a wanted modality.
    """
    images = _files_of(preset)["images"]
    modalities = select_modalities(wanted, tuple(images))
    patterns = {kind: _pattern(template) for kind, template in {**images, LABEL: _files_of(preset)["label"]}.items()}
    ignored = [_pattern(template) for template in _files_of(preset).get("ignored", ())]
    found: dict[str, dict[str, str]] = {}
    problems: list[Problem] = []
    kind: str | None
    for path in _files(folder):
        kind, match = next(((kind, match) for kind, pattern in patterns.items() if (match := pattern.fullmatch(path))),
                           (None, None))
        if match is None or kind is None:
            if not any(pattern.fullmatch(path) for pattern in ignored):
                problems.append(Problem("", path, f"extra: it is not called like {describe(preset)}"))
            continue
        case = found.setdefault(_name(preset, match["case"]), {})
        if kind in case:
            problems.append(Problem(_name(preset, match["case"]), path, f"duplicate: {case[kind]} is there too"))
        case.setdefault(kind, path)
    missing: list[Problem] = []
    for name, files in found.items():
        for kind in (*modalities, LABEL):
            if kind not in files:
                expected = f"{_files_of(preset)['label'] if kind == LABEL else images[kind]}.nii.gz"
                (missing if kind == LABEL else problems).append(
                    Problem(name, expected.replace("{case}", _bare(preset, name)), f"missing: this case's {kind}"))
    cases = [Case(name, {m: found[name][m] for m in modalities if m in found[name]}, found[name].get(LABEL))
             for name in sorted(found)]
    problems += name_problems(found)
    return Listing(modalities, None, cases, problems, missing)


def _files_of(preset: Preset) -> Mapping[str, Any]:
    """Return the templates of a preset that has them."""
    return cast(Mapping[str, Any], preset.files)


def _name(preset: Preset, part: str) -> str:
    """Return the name of a case: the text matched by `{case}`, inserted into the preset's `case` template."""
    return _files_of(preset).get("case", "{case}").replace("{case}", part)


def _bare(preset: Preset, name: str) -> str:
    before, _, after = _files_of(preset).get("case", "{case}").partition("{case}")
    return name.removeprefix(before).removesuffix(after)


def _pattern(template: str) -> re.Pattern[str]:
    """Compile a template to a pattern that matches whole relative paths."""
    first, *rest = (re.escape(part) for part in template.split("{case}"))
    middle = first + "".join(("(?P=case)" if number else r"(?P<case>[^/]+)") + part for number, part in enumerate(rest))
    suffixes = "|".join(map(re.escape, formats.IMAGES))
    return re.compile(rf"(?:.*/)?{middle}(?i:{suffixes})")


def _files(folder: Path) -> Iterator[str]:
    """Yield the files of images below a folder as relative paths, without hidden ones, sorted."""
    files = folders.contents(folder).files
    suffixes = formats.images_among(file.name for file in files)
    for file in files:
        if formats.suffix_of(file.name, suffixes):
            yield file.relative_to(folder).as_posix()
