"""Write a case's results other than the label map, and detect finished cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from .. import __version__
from ..contracts.labels import Label, overlapping, probability_map
from ..preprocessing import geometry
from ..preprocessing.scan import Scan

SLOPE = 1 / 255
"""NIfTI slope of maps between 0 and 1, which are stored in 8 bits."""


@dataclass(frozen=True)
class Wanted:
    """The results to write in addition to label maps.

    Attributes:
        extras: A picture of each case, a table of volumes, and label names and colours.
        probabilities: One probability map per label.
        uncertainty: A map of the disagreement of several predictions.
        dicom_seg: A DICOM segmentation object, for images that are DICOM series.
        suffix: Suffix of label maps in a folder; empty: `cases.suffix`.
        features: The table of features, in an output folder.
        dicom_origin: Whether it names the institution and device of the series, and copies comments on the patient.
    """

    extras: bool = True
    probabilities: bool = False
    uncertainty: bool = False
    dicom_seg: bool = False
    dicom_origin: bool = False
    suffix: str = ""
    features: bool = False

    def paths(self, target: Path, labels: Sequence[Label]) -> dict[str, Path]:
        """Return the paths of a case's files other than the label map, by kind."""
        from .cases import stem

        base = target.parent / stem(target)
        ending = "_picture.png" if target.suffix.lower() == ".png" else ".png"
        out = {"picture": base.with_name(f"{base.name}{ending}")} if self.extras else {}
        if self.probabilities:
            out |= {f"probability of {label.name}": base.with_name(
                probability_map(base.name, label)) for label in labels}
        if self.uncertainty:
            out["uncertainty"] = base.with_name(f"{base.name}_uncertainty.nii.gz")
        if self.dicom_seg:
            out["DICOM-SEG"] = base.with_name(f"{base.name}.dcm")
        return out


def note_of(key: str) -> str:
    """Return the note on its origin in a label map's header; `key` is a checksum of images, models and options."""
    return f"pocket-infer {__version__} {key}"


def is_finished(target: Path, key: str, others: Sequence[Path]) -> bool:
    """Return whether a case has all its files, from the same images, models and options."""
    return all(path.is_file() for path in others) and _note(target) == note_of(key)


def is_noted(target: Path) -> bool:
    """Return whether this version of pocket-infer wrote a label map, according to its header."""
    return _note(target).startswith(note_of(""))


def _note(target: Path) -> str:
    """Read the note on its origin from a label map's header; an empty string if there is none."""
    return geometry.note_of(target) if target.is_file() else ""


def volumes(classes: np.ndarray, spacing: Sequence[float], labels: Sequence[Label]) -> dict[str, dict[str, Any]]:
    """Return `value`, `voxels` and `volume_ml` of each label; `spacing` is in mm."""
    counts = np.zeros(256, np.int64)
    for plane in classes:
        counts += np.bincount(plane.ravel(), minlength=256)
    millilitres = float(np.prod(spacing)) / 1000
    voxels = {label: int(counts[list(label.parts or (label.value,))].sum()) for label in labels}
    return {label.name: {"value": label.value, "voxels": count, "volume_ml": round(float(count) * millilitres, 6)}
            for label, count in voxels.items()}


def write_map(path: Path, values: np.ndarray, grid: geometry.Grid, note: str) -> None:
    """Write a map between 0 and 1.

    Args:
        path: The NIfTI file to write.
        values: The map times 255, (x, y, z) uint8 in RAS+.
        grid: Grid of the image.
        note: Note on the origin for the header.
    """
    geometry.write_image(path, values, grid, note=note, slope=SLOPE)


class ProbabilityFiles:
    """Collect probability maps on disk, slab by slab, then write them as NIfTI."""

    def __init__(self, folder: Path, shape: tuple[int, ...], labels: Sequence[Label]):
        self._folder, self._shape, self._labels = folder, shape, labels
        self._next = 0
        self._first = 1 if overlapping(labels) else 0  # value of the first channel
        self._stack = ExitStack()
        self._files = [self._stack.enter_context((folder / str(label.value)).open("wb")) for label in labels]

    def add(self, at: tuple[slice, ...], probabilities: np.ndarray) -> None:
        """Add a slab; a `run.Sink`."""
        self._skip_to(at[2].start)
        for label, file in zip(self._labels, self._files, strict=True):
            planes = np.zeros((*self._shape[:2], probabilities.shape[2]), np.uint8, order="F")
            planes[at[:2]] = np.rint(probabilities[..., label.value - self._first] * 255)
            file.write(planes.tobytes(order="F"))
        self._next = at[2].stop

    def write(self, paths: Sequence[Path], scan: Scan, note: str) -> None:
        """Write one file per label."""
        self._skip_to(self._shape[2])
        for label, file, path in zip(self._labels, self._files, paths, strict=True):
            file.close()
            values = np.memmap(self._folder / str(label.value), np.uint8, "r", shape=self._shape, order="F")
            write_map(path, values, cast(geometry.Grid, scan.grid), note)

    def close(self) -> None:
        """Close all files; safe to call twice."""
        self._stack.close()

    def _skip_to(self, plane: int) -> None:
        """Write zeros up to `plane`, for planes that the network did not see."""
        empty = np.zeros((*self._shape[:2], 1), np.uint8).tobytes()
        for _ in range(self._next, plane):
            for file in self._files:
                file.write(empty)
        self._next = max(self._next, plane)


@contextmanager
def probability_files(folder: Path, shape: tuple[int, ...], labels: Sequence[Label]) -> Iterator[ProbabilityFiles]:
    """Yield probability files in a temporary subfolder of `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".part-", dir=folder) as temporary:
        out = ProbabilityFiles(Path(temporary), shape, labels)
        try:
            yield out
        finally:
            out.close()
