"""Convert images of SimpleITK, and read the formats that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import nibabel as nib
import numpy as np

from ..errors import DataError
from . import itk_header
from .grid import LPS_TO_RAS, Grid, apart, check_grid, to_ras
from .image import Channel, Image
from .nifti import GEOMETRY, NO_CODES, READ_ERRORS, TOLERANCE, of_nibabel

if TYPE_CHECKING:
    import SimpleITK as sitk

UNITS = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "um": 1e-3, "µm": 1e-3, "micron": 1e-3, "microns": 1e-3,
         "micrometer": 1e-3, "micrometers": 1e-3, "m": 1e3, "meter": 1e3, "meters": 1e3, "cm": 10.0, "nm": 1e-6}
"""mm per unit of an NRRD file."""


def read_file(path: str | Path) -> Image:
    """Read a file in a format of ITK.

    Raises:
        DataError: The file cannot be read or is unusable.
    """
    import SimpleITK as sitk

    itk_header.check(Path(path))
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise DataError(f"The file cannot be read: {lines[-1][:160]}", where=str(path)) from None
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
    return of_simpleitk(image, path)


def of_simpleitk(image: sitk.Image, where: str | Path) -> Image:
    """Convert an image of SimpleITK.

    An image that SimpleITK read from NIfTI still has its header as metadata. If that header has no orientation, or a
    qform and an sform that disagree, the image gets the same grid as its file.

    Args:
        image: The image.
        where: Its path or name, for messages.

    Raises:
        DataError: The image is not 3D, its voxels are not numbers, or its geometry is unusable.
    """
    import SimpleITK as sitk

    size = image.GetSize()
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(f"Expected numbers as voxels, found {image.GetPixelIDTypeAsString()}.", where=str(where))
    if image.GetDimension() < 3 or any(n != 1 for n in size[3:]):
        raise DataError(f"Expected a 3D volume, found shape {size}.", where=str(where))
    if "complex" in image.GetPixelIDTypeAsString():
        raise DataError(f"Expected numbers as voxels, found {image.GetPixelIDTypeAsString()}.", where=str(where))
    data = sitk.GetArrayFromImage(image).T.reshape(size[:3], order="F")
    grid = grid_of(image)
    warnings: tuple[str, ...] = ()
    header = _header(image, grid)
    if header is not None:
        placed = of_nibabel(nib.Nifti1Image(np.broadcast_to(np.uint8(0), grid.shape), None, header), where)
        if placed.warnings:
            grid, warnings = placed.grid, placed.warnings
            if NO_CODES in warnings:  # the metadata have six digits
                grid = Grid(grid.shape, _without_codes(grid.shape, image.GetSpacing()), grid.header)
    elif unit := _unit(image):
        grid = Grid(grid.shape, np.diag([unit, unit, unit, 1.0]) @ grid.affine)
    check_grid(grid.shape, grid.affine, str(where))
    return Image(Channel(to_ras(data, grid, copy=False)), grid, str(where), warnings)


def grid_of(image: sitk.Image) -> Grid:
    """Return the grid of the first three axes of a SimpleITK image."""
    n = image.GetDimension()
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(n, n) * np.array(image.GetSpacing()))[:3, :3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return Grid(cast(tuple[int, int, int], tuple(image.GetSize()[:3])), LPS_TO_RAS @ affine)


def as_simpleitk(data: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """Convert an array in file axes and its affine (mm, RAS+) to a SimpleITK image."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    lps = LPS_TO_RAS @ affine
    spacing = nib.affines.voxel_sizes(affine)
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def like(data: np.ndarray, image: sitk.Image) -> sitk.Image:
    """Convert an array in file axes to a SimpleITK image with the geometry of another one."""
    import SimpleITK as sitk

    made = sitk.GetImageFromArray(np.ascontiguousarray(data.T.reshape(image.GetSize()[::-1])), isVector=False)
    made.CopyInformation(image)
    return made


def _header(image: sitk.Image, grid: Grid) -> nib.Nifti1Header | None:
    """Return the NIfTI header in an image's metadata if the image still lies where that header puts it."""
    if not image.HasMetaDataKey("qform_code") or (
            image.HasMetaDataKey("ITK_InputFilterName") and "Nifti" not in image.GetMetaData("ITK_InputFilterName")):
        return None
    header = nib.Nifti1Header()
    try:
        header.set_data_shape(grid.shape)
        for name in GEOMETRY:
            header[name] = ([float(image.GetMetaData(f"pixdim[{i}]")) for i in range(8)] if name == "pixdim"
                            else [float(word) for word in image.GetMetaData(name).split()] if name.startswith("srow")
                            else float(image.GetMetaData(name)))
        # ITK keeps no handedness of the qform (pixdim[0]); the image has it.
        header["pixdim"][0] = np.sign(np.linalg.det(grid.affine[:3, :3]))
        if not header["qform_code"] and not header["sform_code"]:
            expected = [LPS_TO_RAS @ np.diag([*image.GetSpacing()[:3], 1.0])]
        else:
            mm = {3: 1e-3, 1: 1e3}.get(int(header["xyzt_units"]) & 7, 1.0)
            expected = [np.diag([mm, mm, mm, 1.0]) @ form for code, form in
                        (("qform_code", header.get_qform()), ("sform_code", header.get_sform())) if header[code]]
    except (RuntimeError, *READ_ERRORS):
        return None
    near = TOLERANCE * min(grid.spacing)
    return header if any(apart(one, grid.affine, grid.shape) <= near for one in expected) else None


def _without_codes(shape: tuple[int, ...], spacing: tuple[float, ...]) -> np.ndarray:
    """Return the affine that NIfTI without codes gets from nibabel."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_zooms(spacing[:3])
    return header.get_base_affine()


def _unit(image: sitk.Image) -> float | None:
    """Return mm per unit of an NRRD file with a unit other than mm."""
    key = "NRRD_space units"
    units = image.GetMetaData(key).replace('"', " ").split() if image.HasMetaDataKey(key) else []
    factor = UNITS.get(units[0].lower()) if units else None
    return factor if factor != 1.0 else None
