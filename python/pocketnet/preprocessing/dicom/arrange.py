"""Put the frames of a series in order of place, and refuse those that make no box of voxels.

The same checks hold for the files of a series and for the frames of one file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...text import counted
from ..geometry import LPS_TO_RAS, Grid
from .frames import MARKS, Frame
from .headers import MOST_LINES, listed

TOLERANCE_MM = 0.02
SAME_PLACE_MM = 1e-3
ONE_VOLUME = ("stacks", "components", "echoes", "b-values", "inversion times")
"""Marks that all frames of a volume share, whether or not two of them lie at one place."""
RELATIVE = 0.01
"""Relative difference of two numbers of a mark, such as echo times, that still counts as the same."""


@dataclass(frozen=True)
class Arranged:
    """A volume.

    Attributes:
        frames: In order of place along the normal of the slices; at least two.
        grid: Its grid: along a row, down a column, along the normal.
        warnings: One line for each thing that was left out.
    """

    frames: tuple[Frame, ...]
    grid: Grid
    warnings: tuple[str, ...] = field(default=())


def arrange(frames: Sequence[Frame], same: Callable[[Frame, Frame], bool], where: Path) -> Arranged:
    """Put frames in order.

    Args:
        frames: All frames of a series.
        same: Whether two frames have the same voxels, in real units.
        where: The path that the user gave, for messages.

    Raises:
        DataError: They make no box of voxels: two volumes, a slice missing or doubled, a tilted gantry, and so on.
    """
    warnings: list[str] = []
    frames = _without_localizers(frames, warnings)
    _check_alike(frames, where)
    for mark in ONE_VOLUME:
        _check_mark(frames, mark, where)
    row, column = _unit(frames[0].orientation[:3]), _unit(frames[0].orientation[3:])
    normal = np.cross(row, column)
    ordered = sorted(frames, key=lambda frame: (float(frame.position @ normal), frame.file.name, frame.number or 0))
    ordered = _without_copies(ordered, normal, same, where, warnings)
    if len(ordered) < 2 or 1 in frames[0].shape:
        raise DataError(f"Expected a series that makes a 3D image, found {counted(len(ordered), 'slice')} "
                        f"of {frames[0].shape[0]} × {frames[0].shape[1]} pixels.",
                        where=str(where), todo="Give the folder with all slices of the series.")
    step = _check_places(ordered, normal, where)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (row * frames[0].spacing[1], column * frames[0].spacing[0],
                                                   normal * step)
    affine[:3, 3] = ordered[0].position
    shape = (frames[0].shape[1], frames[0].shape[0], len(ordered))
    return Arranged(tuple(ordered), Grid(shape, LPS_TO_RAS @ affine), tuple(warnings))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _what(frames: Sequence[Frame]) -> str:
    return f"{len(frames)} {'files' if frames[0].number is None else 'frames'}"


def _names(frames: Sequence[Frame]) -> str:
    """Return names of frames for a message: files by name, frames as ranges of numbers."""
    if any(frame.number is None or not frame.alone for frame in frames):
        return listed([frame.name for frame in frames], 3)
    numbers = sorted(frame.number for frame in frames if frame.number is not None)
    starts = [n for i, n in enumerate(numbers) if not i or n != numbers[i - 1] + 1]
    ends = [n for i, n in enumerate(numbers) if i + 1 == len(numbers) or numbers[i + 1] != n + 1]
    return "frames " + listed([f"{a}" if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)], 5)


def _without_localizers(frames: Sequence[Frame], warnings: list[str]) -> Sequence[Frame]:
    """Leave localizers out of a series that has other slices; warn of a series of localizers alone."""
    scouts = [frame for frame in frames if frame.localizer]
    if not scouts:
        return frames
    others = [frame for frame in frames if not frame.localizer]
    if others:
        warnings.append(f"localizers, left out: {_names(scouts)}")
        return others
    warnings.append("this series is a localizer, by its ImageType")
    return frames


def _check_alike(frames: Sequence[Frame], where: Path) -> None:
    """Check what all slices of a box share."""
    first = frames[0]
    for what, key in (
            ("sizes", lambda f: f"{f.shape[0]} × {f.shape[1]} pixels"),
            ("pixel spacings", lambda f: first.spacing if np.allclose(f.spacing, first.spacing, rtol=1e-4, atol=0)
             else f.spacing),
            ("directions", lambda f: _orientation(first) if np.abs(f.orientation - first.orientation).max() <= 1e-3
             else _orientation(f)),
            ("frames of reference", lambda f: f.reference)):
        groups = _grouped(frames, key)
        if len(groups) > 1:
            raise DataError(f"The slices of this DICOM series lie in different directions: {len(groups)} of them."
                            if what == "directions" else
                            f"The slices of this DICOM series have different {what}: {len(groups)} of them.",
                            problems=_group_lines(groups), where=str(where),
                            todo="Put each volume into its own folder or file.")


def _orientation(frame: Frame) -> str:
    return "direction " + "\\".join(f"{x:.3g}" for x in frame.orientation)


def _grouped(frames: Sequence[Frame], key: Callable[[Frame], Hashable]) -> dict[Hashable, list[Frame]]:
    groups: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return groups


def _group_lines(groups: dict[Hashable, list[Frame]], mark: str = "") -> list[str]:
    lines = [f"{mark}{value or 'not said'}: {_what(group)} ({_names(group)})" for value, group in groups.items()]
    return lines[:MOST_LINES] + ([f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else [])


def _by_mark(frames: Sequence[Frame], mark: str) -> dict[Hashable, list[Frame]]:
    """Group frames by a mark; numbers that differ by less than `RELATIVE` are one group."""
    groups: dict[Hashable, list[Frame]] = {}
    for value, group in sorted(_grouped(frames, lambda f: f.marks.get(mark, "")).items(), key=lambda i: str(i[0])):
        near = next((other for other in groups if _near(str(value), str(other))), value)
        groups.setdefault(near, []).extend(group)
    return groups


def _near(a: str, b: str) -> bool:
    try:
        x, y = float(a), float(b)
    except ValueError:
        return a == b
    return abs(x - y) <= RELATIVE * max(abs(x), abs(y))


def _check_mark(frames: Sequence[Frame], mark: str, where: Path) -> None:
    groups = _by_mark(frames, mark)
    if len(groups) > 1:
        raise _several(frames, mark, groups, where)


def _several(frames: Sequence[Frame], mark: str, groups: dict[Hashable, list[Frame]], where: Path) -> DataError:
    return DataError(f"This DICOM series holds {len(groups)} {mark} (by {' or '.join(MARKS[mark])}) in "
                     f"{_what(frames)}; one volume is expected.", problems=_group_lines(groups, f"{mark} "),
                     where=str(where), todo="Save each volume as its own series.")


def _without_copies(ordered: list[Frame], normal: np.ndarray, same: Callable[[Frame, Frame], bool], where: Path,
                    warnings: list[str]) -> list[Frame]:
    """Leave out copies of files; refuse files at one place whose voxels differ, and frames of one file at one place."""
    places: list[list[Frame]] = []
    for frame in ordered:
        if places and abs((frame.position - places[-1][0].position) @ normal) < SAME_PLACE_MM:
            places[-1].append(frame)
        else:
            places.append([frame])
    doubled = [place for place in places if len(place) > 1]
    pairs = [(place[0], other) for place in doubled for other in place[1:]]
    different = []
    for first, other in pairs:
        copy = first.number is None and np.abs(other.position - first.position).max() < SAME_PLACE_MM
        if not copy or not same(first, other):
            different.append(f"{first.name} and {other.name}, at {', '.join(f'{x:.2f}' for x in other.position)} mm")
            if len(different) == 1 and (mark := _telling(ordered, doubled)):
                raise _several(ordered, mark, _by_mark(ordered, mark), where)
        if len(different) == MOST_LINES:
            break
    if different:
        why = "have other pixels" if ordered[0].number is None else "no attribute tells them apart"
        raise DataError(f"In this DICOM series slices lie at the same place and {why}: {_what(ordered)} at "
                        f"{len(places)} places.", problems=different, where=str(where),
                        todo="Leave only the slices of one volume.")
    if pairs:
        warnings.append("copies of slices, with the same place and the same pixels, left out: "
                        + listed([f"{other.name} of {first.name}" for first, other in pairs]))
    return [place[0] for place in places]


def _telling(frames: Sequence[Frame], doubled: Sequence[Sequence[Frame]]) -> str | None:
    """Return the mark that tells all frames at one place apart; None if there is none."""
    most = max(map(len, doubled))
    for mark in MARKS:
        groups = _by_mark(frames, mark)
        value_of = {id(frame): value for value, group in groups.items() for frame in group}
        if 1 < len(groups) <= 2 * most and all(
                len({value_of[id(frame)] for frame in place}) == len(place) for place in doubled):
            return mark
    return None


def _check_places(ordered: Sequence[Frame], normal: np.ndarray, where: Path) -> float:
    """Check that slices are equally spaced and not shifted sideways; return the distance between them in mm."""
    positions = np.array([frame.position for frame in ordered])
    steps = np.diff(positions, axis=0)
    along = steps @ normal
    usual = float(np.median(along))
    allowed = max(min(TOLERANCE_MM, 0.1 * usual), 0.01 * usual)
    problems = [f"between {a.name} and {b.name}: {step:.2f} mm"
                for a, b, step in zip(ordered, ordered[1:], along, strict=False) if abs(step - usual) > allowed]
    if problems:
        missing = round(sum(max(0.0, step / usual - 1) for step in along))
        what = (f"about {counted(missing, 'slice is', 'slices are')} missing" if missing else
                "slices lie at unequal distances")
        raise DataError(f"In this DICOM series {what}: {_what(ordered)}, expected {usual:.2f} mm between slices.",
                        problems=problems[:MOST_LINES], where=str(where))
    shifts = steps - along[:, None] * normal
    sideways = float(np.abs(shifts).max())
    total = float(np.abs(np.cumsum(shifts, axis=0)).max())
    if sideways > allowed or total > 0.5 * min(ordered[0].spacing):
        raise DataError(f"The slices of this DICOM series are shifted sideways by {sideways:.2f} mm each (a tilted "
                        "gantry); such a volume cannot be read as a box.", where=str(where),
                        todo="Resample it to a straight grid first.")
    return float((positions[-1] - positions[0]) @ normal) / (len(ordered) - 1)
