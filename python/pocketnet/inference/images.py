"""Convert nibabel and SimpleITK images to scans, and label maps to images of the same kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import nibabel as nib
import numpy as np

from ..errors import DataError
from ..preprocessing import dicom, geometry
from ..preprocessing.case import check_together
from ..preprocessing.scan import Channel, Scan

if TYPE_CHECKING:
    import SimpleITK as sitk


def scan_of_images(images: Any) -> tuple[Scan, str]:
    """Convert images in memory to a scan.

    Args:
        images: A nibabel or SimpleITK image, or a list with one image per modality.

    Returns:
        The scan, and the kind of the first image: `nibabel` or `SimpleITK`.

    Raises:
        DataError: An image has another type, is not 3D, has NaN or infinite voxels, or the grids differ.
    """
    images = images if isinstance(images, list | tuple) else [images]
    found = [_of_nibabel(image) if isinstance(image, nib.spatialimages.SpatialImage) else _of_simpleitk(image)
             for image in images]
    names = [f"image {index}" for index in range(len(images))]
    check_together(names, [grid for _, grid in found],
                   [int((~np.isfinite(data)).sum()) if data.dtype.kind == "f" else 0 for data, _ in found])
    kind = "nibabel" if isinstance(images[0], nib.spatialimages.SpatialImage) else "SimpleITK"
    grid = found[0][1]
    return Scan(tuple(Channel(geometry.to_ras(data, grid, copy=False)) for data, _ in found),
                geometry.ras_spacing(grid), grid), kind


def to_image(classes: np.ndarray, scan: Scan, kind: str) -> nib.Nifti1Image | sitk.Image:
    """Convert a label map (RAS+) to an image of the given kind, with the geometry of its scan."""
    grid = cast(geometry.Grid, scan.grid)
    data = geometry.from_ras(classes, grid)
    if kind == "nibabel":
        return nib.Nifti1Image(np.ascontiguousarray(data), grid.affine, dtype=np.uint8)
    return as_simpleitk(data, grid.affine)


def as_simpleitk(data: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """Convert an array in file axes and its affine (RAS+) to a SimpleITK image."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    lps = geometry.LPS_TO_RAS @ affine
    spacing = nib.affines.voxel_sizes(affine)
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def _of_nibabel(image: nib.spatialimages.SpatialImage) -> tuple[np.ndarray, geometry.Grid]:
    data = np.asarray(image.dataobj)
    if math.prod(data.shape[3:]) != 1 or data.ndim < 3:
        raise DataError(f"Expected a 3D image, found shape {data.shape}.")
    return data.reshape(data.shape[:3]), geometry.Grid(tuple(data.shape[:3]), np.asarray(image.affine))


def _of_simpleitk(image: sitk.Image) -> tuple[np.ndarray, geometry.Grid]:
    if not hasattr(image, "GetDirection"):
        raise DataError(f"Expected an array, or an image of nibabel or SimpleITK, found {type(image).__name__}.")
    import SimpleITK as sitk

    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(f"Expected a 3D image, found {image.GetDimension()}D of size {image.GetSize()}.")
    return sitk.GetArrayFromImage(image).T, dicom.grid_of(image)
