"""Read and write NIfTI volumes. All geometry is defined here.

In memory, volumes are RAS+ with axes (x, y, z); spacing is in mm in the same order. Reading converts to this
convention. Writing converts back to the file's own grid with the exact affine, shape and orientation.

A path can select one volume of a 4D file (as in the decathlon) by its index from 0: `scan.nii.gz[2]`.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np
from nibabel import orientations

from ..errors import DataError

READ_ERRORS = (OSError, EOFError, ValueError, zlib.error, gzip.BadGzipFile, nib.filebasedimages.ImageFileError,
               nib.spatialimages.HeaderDataError, nib.wrapstruct.WrapStructError)

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Convert between the world coordinates of DICOM and ITK (LPS) and those of NIfTI (RAS), in both directions."""
SELECTED = re.compile(r"(?s)(.+\.nii(?:\.gz)?)\[(\d+)\]")


def file_and_volume(path: str | Path) -> tuple[str, int | None]:
    """Split `scan.nii.gz[2]` into `scan.nii.gz` and 2; the volume is None if the path selects none."""
    match = SELECTED.fullmatch(str(path))
    return (match.group(1), int(match.group(2))) if match else (str(path), None)


@dataclass(frozen=True)
class Grid:
    """The grid of a file, sufficient to write a result with exactly its geometry.

    Attributes:
        shape: Voxels per file axis.
        affine: 4×4 matrix from voxel index to mm (RAS+ world).
        header: The NIfTI header, for its codes and units; None if there is none.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    header: nib.Nifti1Header | None = None

    @property
    def spacing(self) -> tuple[float, float, float]:
        """mm per file axis."""
        return cast(tuple[float, float, float], tuple(float(s) for s in nib.affines.voxel_sizes(self.affine)))

    @property
    def orientation(self) -> str:
        """Axis codes of the file, for example `LPS`."""
        return "".join(nib.aff2axcodes(self.affine))


@dataclass(frozen=True)
class Volume:
    """A volume in RAS+ and the grid of its file.

    Attributes:
        data: (x, y, z), float32 for images, integer for labels.
        spacing: mm along x, y, z.
        grid: The file's own grid.
    """

    data: np.ndarray
    spacing: tuple[float, float, float]
    grid: Grid


def read(path: str | Path, *, label: bool = False) -> Volume:
    """Read a NIfTI volume into RAS+.

    Args:
        path: A 3D `.nii` or `.nii.gz` file (a fourth axis of length 1 is dropped), or a 4D file with the index of a
            volume.
        label: Whether to read a label map: values must be integers and are returned as int16.

    Raises:
        DataError: The file is missing, truncated, not NIfTI, not 3D, or a label map with fractional values.
    """
    volume = load(open_image(path), path)
    if label:
        whole = np.rint(volume.data)
        if not np.array_equal(whole, volume.data):
            raise DataError("The label map has values that are not whole numbers.", where=str(path))
        volume = Volume(whole.astype(np.int16), volume.spacing, volume.grid)
    return volume


def load(image: nib.Nifti1Image, path: str | Path) -> Volume:
    """Read the voxels of an open image as float32 in RAS+.

    Args:
        image: The open image.
        path: Its path, for messages and the index of the volume.

    Raises:
        DataError: The voxels cannot be read.
    """
    volume = file_and_volume(path)[1]
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            data = np.asarray(image.dataobj if volume is None else image.dataobj[..., volume], dtype=np.float32)
    except READ_ERRORS as error:
        raise DataError(f"The voxels cannot be read, the file may be truncated: {_short(error)}",
                        where=str(path)) from None
    grid = Grid(cast(tuple[int, int, int], tuple(image.shape[:3])), image.affine, image.header)
    return Volume(to_ras(data.reshape(grid.shape), grid), ras_spacing(grid), grid)


def open_image(path: str | Path) -> nib.Nifti1Image:
    """Open a 3D NIfTI file, or a 4D file with a volume selected by `path`, without reading its voxels.

    Raises:
        DataError: The file is missing, not NIfTI, not 3D, or lacks the selected volume.
    """
    file = file_and_volume(path)[0]
    if not Path(file).is_file():
        raise DataError("There is no such file.", where=file)
    try:
        image = cast(nib.spatialimages.SpatialImage, nib.load(file))
    except READ_ERRORS as error:
        raise DataError(f"Not a readable NIfTI file: {_short(error)}", where=str(path)) from None
    return usable(image, path)


def parse(content: bytes, path: str | Path) -> nib.Nifti1Image:
    """Open the content of a NIfTI file that is already in memory.

    Unlike `open_image`, this reads a gzip stream to its end and so detects a wrong length or checksum.

    Args:
        content: The bytes of the file.
        path: Its path, for messages, the index of the volume, and the suffix that tells whether it is gzipped.

    Raises:
        DataError: The content is truncated, not gzip, not NIfTI, not 3D, or lacks the selected volume.
    """
    return parse_content(unzipped(content, path), path)


def read_content(path: str | Path) -> bytes:
    """Read the content of a NIfTI file, decompressed and checked to its end.

    Raises:
        DataError: The file is missing or unreadable, or its gzip stream is damaged.
    """
    try:
        return unzipped(Path(path).read_bytes(), path)
    except FileNotFoundError:
        raise DataError("There is no such file.", where=str(path)) from None
    except OSError as error:
        raise DataError(f"The file cannot be read: {error.strerror or error}.", where=str(path)) from None


def unzipped(content: bytes, path: str | Path) -> bytes:
    """Decompress the content of a file if its suffix is `.gz`.

    Raises:
        DataError: The content is truncated, damaged or not gzip.
    """
    if not file_and_volume(path)[0].endswith(".gz"):
        return content
    try:
        return gzip.decompress(content)
    except EOFError:
        raise DataError("The gzip stream ends too early: the file is truncated.", where=str(path)) from None
    except gzip.BadGzipFile as error:
        raise DataError(f"Not a sound gzip file: {_short(error)}", where=str(path)) from None
    except zlib.error as error:
        raise DataError(f"The gzip stream is damaged: {_short(error)}", where=str(path)) from None


def parse_content(content: bytes, path: str | Path) -> nib.Nifti1Image:
    """Open the decompressed content of a NIfTI file; raises the same errors as `parse`."""
    kind = nib.Nifti2Image if content[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nib.Nifti1Image
    try:
        image = kind.from_bytes(content)
    except READ_ERRORS as error:
        raise DataError(f"Not a readable NIfTI file: {_short(error)}", where=str(path)) from None
    start = cast(nib.arrayproxy.ArrayProxy, image.dataobj).offset
    expected = start + math.prod(image.shape) * image.get_data_dtype().itemsize
    if len(content) < expected:
        raise DataError(f"The file is truncated: its header announces {expected} bytes, there are {len(content)}.",
                        where=str(path))
    return usable(image, path)


def volumes(path: str | Path) -> int:
    """Return the number of volumes in a NIfTI file's header; 0 if the file is unreadable."""
    try:
        shape = cast(nib.spatialimages.SpatialImage, nib.load(path)).shape
    except READ_ERRORS:
        return 0
    return math.prod(shape[3:])


def usable(image: nib.spatialimages.SpatialImage, path: str | Path) -> nib.Nifti1Image:
    """Return the image if it is NIfTI with numeric voxels, a regular affine and the volume that `path` selects.

    Raises:
        DataError: The image is unusable; the message gives the reason.
    """
    if not isinstance(image, nib.Nifti1Image):
        raise DataError(f"Expected NIfTI, found {type(image).__name__}.", where=str(path))
    if image.get_data_dtype().kind not in "iuf":
        raise DataError(f"Expected numbers as voxels, found {image.get_data_dtype()}.", where=str(path))
    volume = file_and_volume(path)[1]
    if volume is not None and (len(image.shape) != 4 or volume >= image.shape[3]):
        raise DataError(f"Expected 4D with at least {volume + 1} volumes, found shape {image.shape}.", where=str(path))
    if volume is None and (len(image.shape) < 3 or any(n != 1 for n in image.shape[3:])):
        raise DataError(f"Expected a 3D volume, found shape {image.shape}.", where=str(path))
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine[:3, :3])) < 1e-12 \
            or np.isnan(nib.io_orientation(image.affine)).any():
        raise DataError("The affine is singular: the voxels have no size.", where=str(path))
    return image


def _short(error: Exception) -> str:
    return str(error).split("\n")[0][:160] or type(error).__name__


def to_ras(data: np.ndarray, grid: Grid, *, copy: bool = True) -> np.ndarray:
    """Reorder and flip the first three axes of `data` from file order to RAS+; without `copy`, return a view."""
    turned = orientations.apply_orientation(data, nib.io_orientation(grid.affine))
    return np.ascontiguousarray(turned) if copy else turned


def from_ras(data: np.ndarray, grid: Grid) -> np.ndarray:
    """Reorder and flip RAS+ axes back to file order; the inverse of `to_ras`."""
    back = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), nib.io_orientation(grid.affine))
    return orientations.apply_orientation(data, back)


def ras_spacing(grid: Grid) -> tuple[float, float, float]:
    """Return the spacing in mm along the RAS+ axes."""
    order = np.argsort(nib.io_orientation(grid.affine)[:, 0])
    return cast(tuple[float, float, float], tuple(float(grid.spacing[axis]) for axis in order))


def same_grid(a: Grid, b: Grid, tolerance: float = 1e-3) -> bool:
    """Return whether two grids have the same shape, and the same affine within `tolerance` mm per element."""
    return a.shape == b.shape and np.allclose(a.affine, b.affine, atol=tolerance)


def write_image(path: str | Path, data: np.ndarray, grid: Grid, *, note: str = "", slope: float = 1.0) -> None:
    """Write a RAS+ array as NIfTI with exactly the geometry of `grid`. The write is atomic.

    Args:
        path: A `.nii` or `.nii.gz` file.
        data: (x, y, z) in RAS+ on the RAS+ form of `grid`; written with its own data type.
        grid: The geometry of the file.
        note: Description for the header, at most 79 bytes.
        slope: Factor by which readers multiply the stored values.

    Raises:
        ValueError: The shape differs from the grid's.
    """
    from ..files import atomic

    data = from_ras(data, grid)
    if data.shape != grid.shape:
        raise ValueError(f"Expected the grid's shape {grid.shape}. Received: {data.shape}")
    header = _header(data.dtype, grid)
    header["descrip"] = note.encode()
    header.set_slope_inter(slope, 0)
    with atomic(path) as temporary, nib.openers.Opener(cast(str, temporary), "wb") as file:
        header.write_to(file)
        for plane in np.moveaxis(data, -1, 0):
            file.write(plane.tobytes(order="F"))


def _header(dtype: np.dtype, grid: Grid) -> nib.Nifti1Header:
    """Return a header with the grid's affine, units and form codes."""
    image = nib.Nifti1Image(np.broadcast_to(np.zeros((), dtype), grid.shape), grid.affine, dtype=dtype)
    units = ("mm", "sec") if grid.header is None else grid.header.get_xyzt_units()
    codes = [1, 1] if grid.header is None else [int(grid.header[name]) or 1 for name in ("qform_code", "sform_code")]
    image.header.set_xyzt_units(*units)
    image.set_qform(grid.affine, codes[0])
    image.set_sform(grid.affine, codes[1])
    header = image.header.copy()
    header["vox_offset"] = header.single_vox_offset
    return header
