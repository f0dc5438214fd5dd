"""The one way in for images: files, DICOM series, images of nibabel and SimpleITK, and arrays become `Image`s.

Every step reads through `read_image`, so that an image gives the same voxels, warnings and refusals everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from ..errors import DataError, UsageError
from . import dicom, formats, geometry, itk, nifti
from .grid import Grid
from .image import Channel, Image


def read_image(source: Any, name: str = "the image", content: bytes | None = None) -> Image:
    """Read one modality.

    Args:
        source: A path of a file, of a volume of a 4D file (`scan.nii.gz[2]`) or of a DICOM series, or an image of
            nibabel or SimpleITK.
        name: Name of an image in memory, for messages.
        content: The bytes of the file, if they have been read already.

    Raises:
        DataError: The source is of another type, cannot be read, is not 3D, has voxels that are not numbers, or a
            singular affine.
    """
    if isinstance(source, str | Path):
        if dicom.is_series(Path(source)) or _is_dicom(Path(source)):
            return _series(source)
        return geometry.read_file(source, content)
    if isinstance(source, nib.spatialimages.SpatialImage):
        return nifti.of_nibabel(source, name)
    if hasattr(source, "GetDirection") and hasattr(source, "GetNumberOfComponentsPerPixel"):
        return itk.of_simpleitk(source, name)
    raise DataError(f"Expected a path, an array, or an image of nibabel or SimpleITK, found {type(source).__name__}.",
                    where=name)


def _series(path: str | Path) -> Image:
    """Read a DICOM series or a multi-frame file."""
    data, grid, warnings = dicom.read_with_warnings(path)
    nifti.check_kind(data.dtype, str(path))
    return Image(Channel(geometry.to_ras(data, grid, copy=False)), grid, str(path), tuple(warnings))


def _is_dicom(path: Path) -> bool:
    """Return whether a file without a suffix of another format is DICOM."""
    return path.is_file() and not formats.suffix_of(path.name, formats.WRITTEN) and dicom.is_dicom_file(path)


def of_array(data: np.ndarray, spacing: Sequence[float] | None) -> list[Image]:
    """Convert an array (x, y, z) or (x, y, z, channel) in RAS+ to one image per channel, without copying.

    Args:
        data: The array.
        spacing: mm per axis; None for 1 mm.

    Raises:
        DataError: The array has other axes, no voxels, or values that are not numbers.
        UsageError: The spacing is not three positive numbers.
    """
    nifti.check_kind(data.dtype, "the array")
    data = data[..., None] if data.ndim == 3 else data
    if data.ndim != 4 or 0 in data.shape:
        raise DataError(f"Expected an array (x, y, z, channel), found shape {data.shape}.")
    mm = np.array((1.0, 1.0, 1.0) if spacing is None else spacing, dtype=float)
    if mm.shape != (3,) or not (np.isfinite(mm) & (mm > 0)).all():
        raise UsageError(f"Expected a spacing of three positive numbers. Received: {spacing}")
    grid = Grid(data.shape[:3], np.diag([*mm, 1.0]))
    return [Image(Channel(data[..., index]), grid, f"channel {index}") for index in range(data.shape[-1])]
