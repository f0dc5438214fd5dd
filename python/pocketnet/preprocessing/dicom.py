"""Read a DICOM series, a folder or a zip of its files, as a volume.

SimpleITK (GDCM) sorts and reads the slices. This module rejects series that SimpleITK would read silently with a wrong
geometry: missing or duplicate slices, two series in one folder, a tilted gantry.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

import numpy as np

from ..errors import DataError
from .geometry import LPS_TO_RAS, Grid

if TYPE_CHECKING:
    import SimpleITK as sitk

MOST_BYTES = 32 * 2**30
"""Maximum unpacked size of a zip."""
TOLERANCE_MM = 0.02


def is_series(path: Path) -> bool:
    """Return whether a path may be a series: a zip, or a folder with a DICOM file."""
    if path.is_file():
        return path.name.lower().endswith(".zip")
    return path.is_dir() and any(_is_dicom(file) for file in path.iterdir() if file.is_file())


def _is_dicom(file: Path) -> bool:
    try:
        with open(file, "rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read(path: str | Path) -> tuple[np.ndarray, Grid]:
    """Read a series.

    Returns:
        The voxels along the grid's axes in the series' own units (HU for CT), and the grid.

    Raises:
        DataError: There is no series or more than one, slices are missing or duplicate, or a file is unreadable.
    """
    with unpacked(Path(path)) as folder:
        return _read_folder(folder, Path(path))


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield the folder of a series; a zip is unpacked to a temporary folder.

    Raises:
        DataError: The zip cannot be unpacked.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="pocket-infer-") as folder:
        _unpack(path, Path(folder))
        yield Path(folder)


def files_of(folder: Path, where: Path) -> list[str]:
    """Return the files of the only series in a folder, ordered by slice position.

    Args:
        folder: The folder.
        where: The path that the user gave, for messages.

    Raises:
        DataError: The folder has no series or more than one.
    """
    import SimpleITK as sitk

    with _quiet(sitk):
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        found = {uid: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid) for uid in series}
    if not found:
        raise DataError("There is no DICOM series here.", where=str(where))
    if len(found) > 1:
        raise DataError(f"Expected one DICOM series, found {len(found)}.", where=str(where),
                        problems=[f"series {uid}: {len(files)} files" for uid, files in found.items()],
                        todo="Give each series in a folder of its own.")
    return list(*found.values())


def _read_folder(folder: Path, where: Path) -> tuple[np.ndarray, Grid]:
    import SimpleITK as sitk

    files = files_of(folder, where)
    try:
        with _quiet(sitk):
            if len(files) > 1:
                _check_slices(files, where)
            image = sitk.ReadImage(files if len(files) > 1 else files[0])
    except RuntimeError as error:
        last = [line for line in str(error).splitlines() if line.strip()][-1]
        raise DataError(f"The DICOM series cannot be read: {last[:160]}", where=str(where)) from None
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1 or 1 in image.GetSize():
        raise DataError(f"Expected a series that makes a 3D image of one number a voxel, found "
                        f"{len(files)} files that make size {image.GetSize()} with "
                        f"{image.GetNumberOfComponentsPerPixel()} numbers a voxel.", where=str(where))
    return sitk.GetArrayFromImage(image).T, grid_of(image)


def grid_of(image: sitk.Image) -> Grid:
    """Return the grid of a SimpleITK image."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return Grid(tuple(image.GetSize()), LPS_TO_RAS @ affine)


def _check_slices(files: Sequence[str], where: Path) -> None:
    """Check that slices are parallel, equally spaced and not shifted sideways."""
    positions, orientations = zip(*map(_plane, files), strict=True)
    first = np.array(orientations[0])
    if any(np.abs(np.array(o) - first).max() > 1e-3 for o in orientations):
        raise DataError("The slices of this DICOM series lie in different directions.", where=str(where))
    normal = np.cross(first[:3], first[3:])
    steps = np.diff(np.array(positions), axis=0)
    along = steps @ normal
    usual = float(np.median(np.abs(along)))
    problems = [f"between {Path(a).name} and {Path(b).name}: {abs(step):.2f} mm"
                for a, b, step in zip(files, files[1:], along, strict=False)
                if abs(abs(step) - usual) > max(TOLERANCE_MM, 0.01 * usual)]
    if usual < TOLERANCE_MM or problems:
        missing = round(sum(max(0.0, abs(step) / usual - 1) for step in along)) if usual >= TOLERANCE_MM else 0
        what = (f"about {missing} slices are missing" if missing else
                "slices lie at the same place" if usual < TOLERANCE_MM else "slices lie at unequal distances")
        raise DataError(f"In this DICOM series {what}: {len(files)} files, expected {usual:.2f} mm between slices.",
                        problems=problems[:8], where=str(where))
    sideways = np.abs(steps - along[:, None] * normal).max()
    if sideways > max(TOLERANCE_MM, 0.01 * usual):
        raise DataError(f"The slices of this DICOM series are shifted sideways by {sideways:.2f} mm each (a tilted "
                        "gantry); such a volume cannot be read as a box.", where=str(where),
                        todo="Resample it to a straight grid first.")


def _plane(file: str) -> tuple[list[float], list[float]]:
    """Read the position and orientation of a slice (DICOM 0020,0032 and 0020,0037)."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    try:
        return cast(tuple[list[float], list[float]], tuple(
            [float(x) for x in reader.GetMetaData(key).split("\\")] for key in ("0020|0032", "0020|0037")))
    except (RuntimeError, ValueError):
        raise DataError("This DICOM slice does not say where it lies.", where=file) from None


@contextmanager
def _quiet(sitk: ModuleType) -> Iterator[None]:
    """Silence GDCM's warnings about files that are not DICOM."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _unpack(path: Path, folder: Path) -> None:
    """Unpack all files of a zip into one folder, named by number, so that no name can point outside the folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and not Path(m.filename).name.startswith(".")]
            total = sum(m.file_size for m in members)
            if total > MOST_BYTES:
                raise DataError(f"This zip would unpack to {total / 2**30:.0f} GiB; at most {MOST_BYTES / 2**30:.0f} "
                                "GiB are taken.", where=str(path))
            for number, member in enumerate(members):
                with archive.open(member) as source, open(folder / f"{number:06d}", "wb") as target:
                    while block := source.read(2**20):
                        target.write(block)
    except (zipfile.BadZipFile, RuntimeError, EOFError, NotImplementedError) as error:
        raise DataError(f"This zip cannot be unpacked: {error}.", where=str(path)) from None
