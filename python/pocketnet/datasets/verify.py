"""One case: every file is read once, for its checksum, its problems and its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from nibabel import Nifti1Image

from ..contracts.fingerprint import CaseFingerprint, Intensities
from ..errors import DataError
from ..preprocessing.boxes import foreground_box
from ..preprocessing.geometry import Grid, Volume, file_and_volume, load, parse, same_grid, usable
from ..preprocessing.reference import BY_IMAGE, on_grid
from .folder import Case, Problem, unreadable

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

SAMPLE = 500


@dataclass
class Checked:
    """What reading a case gave.

    Attributes:
        case: The case.
        problems: What is wrong with its files.
        warnings: What may be meant so.
        sha256: Path → checksum of the file's bytes.
        fingerprint: The case's entry in `fingerprint.json`; None when it has problems.
    """

    case: Case
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)
    fingerprint: CaseFingerprint | None = None

    def problem(self, file: str, text: str) -> None:
        """Note a problem of one of the case's files."""
        self.problems.append(Problem(self.case.name, file, text))


def verify(folder: Path, case: Case, classes: Mapping[str, tuple[int, ...]], known: frozenset[int],
           label_grid: str = "own") -> Checked:
    """Read a case's files, look for everything that could be wrong, and measure.

    Args:
        folder: The dataset's folder.
        case: The case; files that are missing are not in it.
        classes: Class name → values of the label files.
        known: All values that a label file may have.
        label_grid: `image`: a label map's header does not count where its shape is the image's.
    """
    out = Checked(case)
    volumes: dict[str, Volume] = {}
    opened: dict[str, Nifti1Image | None] = {}
    for path in (*case.images.values(), *([case.label] if case.label else [])):
        volume = _read(folder, path, opened, out)
        if volume is not None:
            volumes[path] = volume
    if label_grid == BY_IMAGE and case.label in volumes:
        _take_grid(volumes, case.label, out)
    _compare_grids(volumes, out)
    images = {modality: volumes[path].data for modality, path in case.images.items() if path in volumes}
    for modality, data in images.items():
        _check_image(data, case.images[modality], out)
    counts = None
    if case.label in volumes:
        counts = _check_label(volumes[case.label].data, case.label, known, out)
    if images and not out.problems:
        voxels, labelled = {}, None
        if counts is not None:
            voxels = {name: sum(counts.get(value, 0) for value in values) for name, values in classes.items()}
            labelled = np.isin(volumes[cast(str, case.label)].data, [v for values in classes.values() for v in values])
            if not any(voxels.values()):
                out.warnings.append(f"{case.label}: the label map has no voxel of any class")
        out.fingerprint = _measure(images, labelled, voxels, next(iter(volumes.values())))
    return out


def _read(folder: Path, path: str, opened: dict[str, Nifti1Image | None], out: Checked) -> Volume | None:
    """One volume's voxels (float32, RAS+); None and a problem when it cannot be used.

    `opened` has the case's files that were read already, None for one that could not be.
    """
    file, _ = file_and_volume(path)
    try:
        if file not in opened:
            opened[file] = None
            content = (folder / file).read_bytes()
            out.sha256[file] = hashlib.sha256(content).hexdigest()
            opened[file] = parse(content, path)
        image = opened[file]
        if image is None:
            return None
        volume = load(usable(image, path), path)
    except OSError as error:
        out.problem(path, unreadable(error))
        return None
    except DataError as error:
        out.problem(path, error.what)
        return None
    header = cast("Nifti1Header", volume.grid.header)
    if not header["qform_code"] and not header["sform_code"]:
        out.warnings.append(f"{path}: the header says no orientation (qform and sform codes are 0)")
    return volume


def _take_grid(volumes: dict[str, Volume], label: str, out: Checked) -> None:
    """Lay the label map on the first image's grid where only its header says otherwise."""
    grid = next(iter(volumes.values())).grid
    if volumes[label].grid.shape == grid.shape and not same_grid(volumes[label].grid, grid):
        out.warnings.append(f"{label}: its header says another grid than its image's; taken voxel by voxel")
        volumes[label] = on_grid(volumes[label], grid, label)


def _compare_grids(volumes: Mapping[str, Volume], out: Checked) -> None:
    """All files of a case lie on the grid of the first that can be read."""
    first_path = next(iter(volumes), "")
    for path, volume in volumes.items():
        first, grid = volumes[first_path].grid, volume.grid
        if grid.shape != first.shape:
            shapes = ["×".join(map(str, one.shape)) for one in (grid, first)]
            out.problem(path, f"shape {shapes[0]} differs from {shapes[1]} of {first_path}")
        elif not same_grid(first, grid):
            out.problem(path, f"affine {_rows(grid)} differs from {_rows(first)} of {first_path}")


def _rows(grid: Grid) -> str:
    """An affine's first three rows as text, without negative zeros."""
    rows = np.round(grid.affine[:3], 6) + 0.0
    return "[" + "; ".join(" ".join(f"{value:.6g}" for value in row) for row in rows) + "]"


def _check_image(data: np.ndarray, path: str, out: Checked) -> None:
    """NaN or infinite voxels, or an image of one value only."""
    if not _check_finite(data, path, out):
        return
    low, high = data.min(), data.max()
    if low == high:
        out.problem(path, f"empty image: every voxel is {low:g}")


def _check_finite(data: np.ndarray, path: str, out: Checked) -> bool:
    """Whether all voxels are finite; else a problem that counts those that aren't."""
    if np.isfinite(data.sum(dtype=np.float64)):  # a sum in float64 of float32 voxels cannot overflow
        return True
    nan, infinite = int(np.isnan(data).sum()), int(np.isinf(data).sum())
    counts = [f"{count} {what}" for count, what in ((nan, "NaN"), (infinite, "infinite")) if count]
    out.problem(path, f"{' and '.join(counts)} voxels")
    return False


def _check_label(data: np.ndarray, path: str, known: frozenset[int], out: Checked) -> dict[int, int] | None:
    """Count the voxels of each value; None when they are no labels."""
    if not _check_finite(data, path, out):
        return None
    values, counts = np.unique(data[data != 0], return_counts=True)
    fractions = values != np.rint(values)
    if fractions.any():
        out.problem(path, f"{int(counts[fractions].sum())} label voxels are not whole numbers: "
                          f"{_some(values[fractions])}")
    unknown = ~fractions & ~np.isin(values, list(known))
    if unknown.any():
        out.problem(path, f"unknown label {_some(values[unknown])} in {int(counts[unknown].sum())} voxels; "
                          f"known: {', '.join(map(str, sorted(known)))}")
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def _some(values: np.ndarray, most: int = 5) -> str:
    shown = ", ".join(f"{value:.6g}" for value in values[:most])
    return shown + (f" … ({len(values)} values)" if len(values) > most else "")


def _measure(images: Mapping[str, np.ndarray], labelled: np.ndarray | None, voxels: dict[str, int],
             first: Volume) -> CaseFingerprint:
    """The case's entry in `fingerprint.json`.

    Args:
        images: Modality → (x, y, z), RAS+.
        labelled: (x, y, z), the voxels of any class; None without a label map.
        voxels: Class name → voxels.
        first: The volume whose grid stands for the case's.
    """
    anywhere = np.zeros(first.data.shape, bool)
    for data in images.values():
        anywhere |= data != 0
    box = foreground_box(anywhere[..., None])
    return CaseFingerprint(
        shape=first.data.shape, spacing_mm=tuple(number(s) for s in first.spacing),
        orientation=first.grid.orientation, cropped_shape=tuple(stop - start for start, stop in box),
        label_voxels=voxels,
        intensities=tuple(intensities(modality, data, None if labelled is None else data[labelled])
                          for modality, data in images.items()))


def intensities(modality: str, data: np.ndarray, population: np.ndarray | None, most: int = SAMPLE) -> Intensities:
    """Statistics over the voxels of one modality that are not zero, and a sample.

    Args:
        modality: Its name.
        data: Voxels.
        population: What at most `most` values are sampled from, such as the labelled voxels; None for none.
        most: Values that the sample has at most.
    """
    values = data[data != 0].astype(np.float64)
    low, median, high = np.percentile(values, (0.5, 50, 99.5))
    numbers = {"mean": values.mean(), "std": values.std(), "minimum": values.min(), "maximum": values.max(),
               "p0_5": low, "median": median, "p99_5": high}
    sample: Iterable[float] = _evenly(population, most) if population is not None else []
    return Intensities(modality, **{key: number(value) for key, value in numbers.items()}, voxels=int(values.size),
                       sample=tuple(number(value) for value in sample))


def _evenly(values: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the values, evenly spaced."""
    count = min(most, values.size)
    return values[np.arange(count) * values.size // max(count, 1)]


def number(value: float) -> float:
    """Seven significant digits, float32's own precision: the same text wherever it was computed."""
    return float(f"{value:.7g}")
