"""Find the cases that must stay in one part of a split: those of one group (patient, subject, site) or one image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .manifest import Case

_SUFFIX = re.compile(r"\.[^./]+(\.gz)?$", re.IGNORECASE)
_VOLUME = re.compile(r"(.+)(\[\d+\])")


class Member(NamedTuple):
    """The fields of `manifest.Case` that determine its group, for cases that may have problems."""

    case: str
    group: str | None
    images: Sequence[str]
    label: str | None
    sha256: Mapping[str, str]


def together(cases: Sequence[Case | Member], *, images: bool = True) -> dict[str, str]:
    """Return a name for each case; cases with equal names stay in one part of every split.

    Cases are joined if they have the same `group` or share an image, directly or through other cases. An image that all
    cases have, such as an atlas, joins none.

    Args:
        cases: Cases of a manifest.
        images: Whether cases that share an image are joined, in addition to those of one group.

    Returns:
        By case, `group NAME`, or `case NAME` if its group is unknown; of several names, the first in order.
    """
    links: dict[str, str] = {}

    def root(name: str) -> str:
        while name in links:
            name = links[name]
        return name

    def join(name: str, other: str) -> None:
        first, second = sorted((root(name), root(other)), key=lambda one: (one.startswith("case "), one))
        if first != second:
            links[second] = first

    own = {case.case: alone(case.case) for case in cases}
    for case in cases:
        if case.group:
            join(own[case.case], f"group {case.group}")
    for places in same_images(cases) if images else ():
        names = {name for name, _ in places}
        for name in names if len(names) < len(cases) else ():
            join(own[places[0][0]], own[name])
    return {name: root(key) for name, key in own.items()}


def alone(case: str) -> str:
    """Return the name for a case whose group is unknown."""
    return f"case {case}"


def same_images(cases: Iterable[Case | Member]) -> list[list[tuple[str, str]]]:
    """Return the images that occur more than once, by checksum: a list of (case, path) per image."""
    places: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for case in cases:
        for path, image in _images(case).items():
            places[image].append((case.case, path))
    return [found for found in places.values() if len(found) > 1]


def leaks(groups: Mapping[str, str], parts: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a line for each group with cases in several parts of a split; the line names the cases by part.

    Args:
        groups: The result of `together`.
        parts: Case names by part.
    """
    where: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for part, names in parts.items():
        for name in names:
            where[groups[name]][part].append(name)
    return [f"{group}: {'; '.join(f'{_some(sorted(names))} in {part}' for part, names in by_part.items())}"
            for group, by_part in sorted(where.items()) if len(by_part) > 1]


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" … ({len(names)} cases)" if len(names) > most else "")


def _images(case: Case | Member) -> dict[str, tuple[str, ...]]:
    """Return what identifies each image, by path: the checksum of its voxels' file, and the volume of a 4D file."""
    volumes = {path: None if path in case.sha256 else _VOLUME.fullmatch(path) for path in case.images}
    files = {path: match[1] if match else path for path, match in volumes.items()}
    others = case.sha256.keys() - {*files.values(), case.label}
    found = {}
    for path, file in files.items():
        if file in case.sha256:
            voxels = sorted(case.sha256[other] for other in others if _SUFFIX.sub("", other) == _SUFFIX.sub("", file))
            match = volumes[path]
            found[path] = (*(voxels or [case.sha256[file]]), match[2] if match else "")
    return found
