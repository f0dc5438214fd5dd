"""Check one case: read every file once, for its checksum, problems and statistics."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from ..contracts.fingerprint import CaseFingerprint, Intensities
from ..contracts.reading import ReadingRules
from ..contracts.regions import Values
from ..errors import DataError
from ..preprocessing import formats, nifti
from ..preprocessing.geometry import Grid, Volume, check_file, file_and_volume, ras_spacing, read_file, same_grid
from ..preprocessing.image import Channel, Image, faults, inexact, values
from ..preprocessing.ranges import measure
from ..preprocessing.reference import BY_IMAGE, OTHER_GRID, on_grid
from ..preprocessing.scan import Scan
from ..text import counted
from .folder import Case, Problem, unreadable

CheckCase = Callable[[Case], "Checked"]
"""Read every file of a case once, check it and compute its fingerprint."""


@dataclass
class Checked:
    """Result of checking a case.

    Attributes:
        case: The case.
        problems: Problems of its files.
        warnings: Unusual findings that may be intended.
        sha256: Checksum of the file by path.
        fingerprint: The case's entry in `fingerprint.json`; None if there are problems.
    """

    case: Case
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)
    fingerprint: CaseFingerprint | None = None

    def problem(self, file: str, text: str) -> None:
        """Add a problem of one of the case's files."""
        self.problems.append(Problem(self.case.name, file, text))


def verify(folder: Path, case: Case, rules: ReadingRules) -> Checked:
    """Read a case's files, check them for problems, and compute its fingerprint.

    Args:
        folder: The dataset's folder.
        case: The case, without its missing files.
        rules: What reading needs to know. With a `label_grid` of `image`, a label map with the image's shape takes the
            image's grid, whatever its own affine.
    """
    out = Checked(case)
    volumes: dict[str, Volume] = {}
    unzipped: Unzipped = {}
    for path in (*case.images.values(), *([case.label] if case.label else [])):
        image = _read(folder, path, unzipped, out)
        if image is not None:
            volumes[path] = image.volume() if path != case.label else Volume(
                values(image.channel), ras_spacing(image.grid), image.grid)
    if rules.label_grid == BY_IMAGE and case.label in volumes:
        _take_grid(volumes, case.label, out)
    _compare_grids(volumes, out)
    images = {modality: volumes[path].data for modality, path in case.images.items() if path in volumes}
    for modality, data in images.items():
        _check_image(data, case.images[modality], out)
    counts = None
    if case.label in volumes:
        counts = _check_label(volumes[case.label].data, case.label, rules.known, out)
    if images and not out.problems:
        voxels, labelled = {}, None
        if counts is not None:
            classes, others = _annotated(rules.classes, case)
            voxels = {name: sum(counts.get(value, 0) for value in values) for name, values in classes.items()}
            labelled = np.isin(volumes[cast(str, case.label)].data, [v for values in classes.values() for v in values])
            out.warnings += [f"{case.label}: {counted(count, 'voxel')} of {name!r}, which is not among the case's "
                             "annotated labels, are not used" for name, values in others.items()
                             if (count := sum(counts.get(value, 0) for value in values))]
            if not any(voxels.values()):
                out.warnings.append(f"{case.label}: the label map has no voxel of any class")
        out.fingerprint = _measure(images, labelled, voxels, next(iter(volumes.values())), rules.sample)
    return out


def _annotated(classes: Values, case: Case) -> tuple[Values, Values]:
    """Return the classes that were annotated in a case, and the others."""
    def chosen(there: bool) -> Values:
        return {name: values for name, values in classes.items()
                if (case.annotated is None or name in case.annotated) is there}

    return chosen(True), chosen(False)


Unzipped = dict[str, tuple[bytes, tuple[str, ...]] | None]
"""Decompressed NIfTI files of a case, with the findings about them; None for those that could not be read."""


def _read(folder: Path, path: str, unzipped: Unzipped, out: Checked) -> Image | None:
    """Read one volume; if it is unusable, add a problem and return None."""
    file, _ = file_and_volume(path)
    try:
        if file not in unzipped:
            unzipped[file] = None
            unzipped[file] = _content(folder, file, out)
        content = unzipped[file]
        if content is None:
            return None
        image = nifti.parse_unzipped(content[0], path, content[1]) if formats.suffix_of(file) in formats.NIFTI \
            else read_file(folder / path, content[0] if formats.is_picture(file) else None)
    except OSError as error:
        out.problem(path, unreadable(error))
        return None
    except DataError as error:
        out.problem(path, error.what)
        return None
    out.warnings += [f"{path}: {warning}" for warning in image.warnings]
    return image


def _content(folder: Path, file: str, out: Checked) -> tuple[bytes, tuple[str, ...]]:
    """Return a file's content, decompressed if it is NIfTI, and record the checksums of all its parts."""
    check_file(folder / file)
    for part in formats.beside(file):
        if (folder / part).is_file():
            out.sha256[part] = hashlib.sha256((folder / part).read_bytes()).hexdigest()
    content = (folder / file).read_bytes()
    out.sha256[file] = hashlib.sha256(content).hexdigest()
    return nifti.unzip(content, file) if formats.suffix_of(file) in formats.NIFTI else (content, ())


def _take_grid(volumes: dict[str, Volume], label: str, out: Checked) -> None:
    """Move the label map to the first image's grid if it has the same shape but another affine."""
    grid = next(iter(volumes.values())).grid
    if volumes[label].grid.shape == grid.shape and not same_grid(volumes[label].grid, grid):
        out.warnings.append(f"{label}: {OTHER_GRID}")
        volumes[label] = on_grid(volumes[label], grid, label)


def _compare_grids(volumes: Mapping[str, Volume], out: Checked) -> None:
    """Check that all volumes of a case have the grid of the first readable one."""
    first_path = next(iter(volumes), "")
    for path, volume in volumes.items():
        first, grid = volumes[first_path].grid, volume.grid
        if grid.shape != first.shape:
            shapes = ["×".join(map(str, one.shape)) for one in (grid, first)]
            out.problem(path, f"shape {shapes[0]} differs from {shapes[1]} of {first_path}")
        elif not same_grid(first, grid):
            out.problem(path, f"affine {_rows(grid)} differs from {_rows(first)} of {first_path}")


def _rows(grid: Grid) -> str:
    """Format the first three rows of an affine, without negative zeros."""
    rows = np.round(grid.affine[:3], 6) + 0.0
    return "[" + "; ".join(" ".join(f"{value:.6g}" for value in row) for row in rows) + "]"


def _check_image(data: np.ndarray, path: str, out: Checked) -> None:
    """Check an image for NaN and infinite voxels and for a single constant value."""
    found = faults(Channel(data))
    for fault in found:
        if fault:
            out.problem(path, fault)


def _check_label(data: np.ndarray, path: str, known: Collection[int], out: Checked) -> dict[int, int] | None:
    """Check a label map and count the voxels of each non-zero value; None if a voxel is not finite."""
    if found := faults(Channel(data)).not_finite:
        out.problem(path, found)
        return None
    present, counts = np.unique(data[data != 0], return_counts=True)
    fractions = present != np.rint(present)
    if fractions.any():
        out.problem(path, f"{int(counts[fractions].sum())} label voxels are not whole numbers: "
                          f"{_some(present[fractions])}")
    elif fault := inexact(present):
        out.problem(path, fault)
    unknown = ~fractions & ~np.isin(present, list(known))
    if unknown.any():
        out.problem(path, f"unknown label {_some(present[unknown])} in {int(counts[unknown].sum())} voxels; "
                          f"known: {', '.join(map(str, sorted(known)))}")
    return {int(value): int(count) for value, count in zip(present, counts, strict=True)}


def _some(values: np.ndarray, most: int = 5) -> str:
    shown = ", ".join(f"{value:.6g}" if value % 1 else f"{int(value)}" for value in values[:most])
    return shown + (f" … ({len(values)} values)" if len(values) > most else "")


def _measure(images: Mapping[str, np.ndarray], labelled: np.ndarray | None, voxels: dict[str, int],
             first: Volume, most: int) -> CaseFingerprint:
    """Compute the case's entry in `fingerprint.json`.

    Args:
        images: Image by modality, (x, y, z) in RAS+.
        labelled: Mask of the voxels of all classes, (x, y, z); None without a label map.
        voxels: Number of voxels by class name.
        first: The volume that defines the case's grid.
        most: Maximum size of the sample of each modality.
    """
    box = Scan(tuple(Channel(data) for data in images.values()), first.spacing).foreground_box()
    return CaseFingerprint(
        shape=first.data.shape, spacing_mm=tuple(number(s) for s in first.spacing),
        orientation=first.grid.orientation, cropped_shape=tuple(stop - start for start, stop in box),
        label_voxels=voxels,
        intensities=tuple(intensities(modality, data, None if labelled is None else data[labelled], most)
                          for modality, data in images.items()))


def intensities(modality: str, data: np.ndarray, population: np.ndarray | None, most: int) -> Intensities:
    """Compute statistics of the non-zero voxels of one modality, and a sample of intensities.

    Args:
        modality: Name of the modality.
        data: All voxels.
        population: Values from which the sample is taken, such as the labelled voxels; None: no sample.
        most: Maximum size of the sample.
    """
    values = data[data != 0]
    numbers = {**asdict(measure(values)), "minimum": values.min(), "maximum": values.max()}
    sample: Iterable[float] = _evenly(population, most) if population is not None else []
    return Intensities(modality, **{key: number(value) for key, value in numbers.items()}, voxels=int(values.size),
                       sample=tuple(number(value) for value in sample))


def _evenly(values: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of the values, evenly spaced."""
    count = min(most, values.size)
    return values[np.arange(count) * values.size // max(count, 1)]


def number(value: float) -> float:
    """Round to seven significant digits, the precision of float32, so that all machines write the same text."""
    return float(f"{value:.7g}")
