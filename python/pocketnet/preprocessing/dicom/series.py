"""Read a series: find its files, put their slices in order, decode them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..geometry import LPS_TO_RAS, Grid
from . import pixels
from .archive import unpacked
from .arrange import arrange
from .frames import Frame, frames_of
from .headers import Header, find, holds_image, quiet, sniff

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class Series:
    """A series that makes a volume; its pixels are not decoded yet.

    Attributes:
        headers: Its files.
        frames: Its slices in order of place.
        grid: Its grid.
        warnings: One line for each thing that was left out or that a reader should know.
    """

    headers: tuple[Header, ...]
    frames: tuple[Frame, ...]
    grid: Grid
    warnings: tuple[str, ...]


def is_series(path: Path) -> bool:
    """Return whether a path may be a series: a zip, or a folder with a DICOM image in it."""
    if path.is_file():
        return path.name.lower().endswith(".zip")
    try:
        return path.is_dir() and any(holds_image(file) for file in path.iterdir())
    except OSError:
        return False


def is_dicom_file(path: Path) -> bool:
    """Return whether a path is one DICOM file, such as a multi-frame file; `read` reads it as it reads a series."""
    return sniff(path)


def read(path: str | Path) -> tuple[np.ndarray, Grid]:
    """Read a series.

    Returns:
        The voxels along the grid's axes in the series' own units (HU for CT), and the grid.

    Raises:
        DataError: There is no series or more than one, slices are missing or double, or a file is unreadable.
    """
    data, grid, _ = read_with_warnings(path)
    return data, grid


def read_with_warnings(path: str | Path) -> tuple[np.ndarray, Grid, tuple[str, ...]]:
    """Read a series as `read` does; the third value has one line for each thing that was left out."""
    with unpacked(Path(path)) as folder:
        series = open_series(folder, Path(path))
        return pixels.voxels(series.headers, series.frames, Path(path)), series.grid, series.warnings


def open_series(folder: Path, where: Path) -> Series:
    """Read the headers of the only series in a folder, or of a DICOM file, and put its slices in order.

    Args:
        folder: The folder or file.
        where: The path that the user gave, for messages.

    Raises:
        DataError: There is no series or more than one, or it makes no box of voxels.
    """
    with quiet():
        found = find(folder, where)
        arranged = arrange(frames_of(found.images, where), pixels.same_voxels, where)
    used = {frame.file for frame in arranged.frames}
    headers = tuple(header for header in found.images if header.file in used)
    warnings = [*found.warnings, *arranged.warnings]
    if any(map(pixels.lossy, (header.data for header in headers))):
        warnings.append("the images were compressed with loss (LossyImageCompression 01)")
    return Series(headers, arranged.frames, arranged.grid, tuple(warnings))


def files_of(folder: Path, where: Path) -> list[str]:
    """Return the files of the only series in a folder, ordered by slice position.

    Args:
        folder: The folder, or one DICOM file.
        where: The path that the user gave, for messages.

    Raises:
        DataError: As for `open_series`.
    """
    return list(dict.fromkeys(str(frame.file) for frame in open_series(folder, where).frames))


def grid_of(image: sitk.Image) -> Grid:
    """Return the grid of a SimpleITK image."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return Grid(tuple(image.GetSize()), LPS_TO_RAS @ affine)
