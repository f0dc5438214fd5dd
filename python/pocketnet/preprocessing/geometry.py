"""Read and write files of volumes. Grids are in `grid`, the formats in `nifti` and `itk`; `reader` also takes DICOM.

In memory, volumes are RAS+ with axes (x, y, z); spacing is in mm in the same order. Reading converts to this
convention. Writing converts back to the file's own grid, with the geometry of the header that was read.

A path can select one volume of a 4D file (as in the decathlon) by its index from 0: `scan.nii.gz[2]`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np

from .. import outputs
from ..errors import DataError, UsageError, first_line
from ..files import atomic
from . import flat, formats, itk, nifti
from .grid import LPS_TO_RAS as LPS_TO_RAS
from .grid import Grid as Grid
from .grid import Volume as Volume
from .grid import from_ras as from_ras
from .grid import ras_spacing as ras_spacing
from .grid import same_grid as same_grid
from .grid import to_ras as to_ras
from .image import Image
from .nifti import file_and_volume as file_and_volume

NOTE = "descrip"
"""Key of the note on a result's origin, in headers of NIfTI and metadata of ITK."""


def read(path: str | Path, *, label: bool = False) -> Volume:
    """Read a volume into RAS+.

    Args:
        path: A file in one of the formats `formats.TAKEN`, 3D (further axes of length 1 are dropped), or a volume of a
            4D NIfTI file.
        label: Whether to read a label map: the values must be whole numbers and are returned as integers, in a type
            that holds all of them.

    Raises:
        DataError: The file is missing, damaged, of another format, not 3D, or a label map with fractional values.
    """
    image = read_file(path)
    return image.label_map() if label else image.volume()


def read_file(path: str | Path, content: bytes | None = None) -> Image:
    """Read a file. NIfTI is read to its end, so that the checksum of a `.gz` file is verified.

    Args:
        path: See `read`.
        content: The bytes of the file, if they have been read already.

    Raises:
        DataError: The file is missing, damaged, of another format, or not 3D.
    """
    file = formats.header_of(file_and_volume(path)[0])
    suffix = formats.suffix_of(file)
    check_file(file)
    if suffix in formats.ITK:
        return itk.read_file(file)
    if formats.is_picture(file):
        return flat.parse(content if content is not None else read_content(file), path, file_and_volume(path)[1])
    if suffix in (*formats.FREESURFER, *formats.PAIR):
        return _by_nibabel(file)
    content = content if content is not None else read_content(file)
    if suffix not in formats.NIFTI and not content.startswith(nifti.STARTS):
        raise DataError("This file has another format.", where=file, todo=f"These are read: {formats.TAKEN}.")
    return nifti.parse(content, path)


def volumes(path: str | Path) -> int:
    """Return the number of volumes of a NIfTI file, or of channels of a 2D image; 0 if the file is unreadable."""
    return flat.channels(path) if formats.is_picture(str(path)) else nifti.volumes(path)


def check_file(file: str | Path) -> None:
    """Check that a path is an ordinary file, or a link to one.

    Raises:
        DataError: It is not.
    """
    file = str(file)
    if os.path.islink(file) and not os.path.exists(file):
        raise DataError(f"This is a link to {os.readlink(file)}, which is not there.", where=file,
                        todo="Get the file (DataLad: datalad get), or repair the link.")
    if not Path(file).is_file():
        what = "This is a folder, not a file" if Path(file).is_dir() else "This is not an ordinary file"
        raise DataError(f"{what}." if os.path.exists(file) else "There is no such file.", where=file)


def read_content(path: str | Path) -> bytes:
    """Read the bytes of a file.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        return Path(file_and_volume(path)[0]).read_bytes()
    except OSError as error:
        raise DataError(f"The file cannot be read: {error.strerror or error}.", where=str(path)) from None


def _by_nibabel(file: str) -> Image:
    """Read a file with nibabel, which chooses the reader by the suffix in lower case."""
    try:
        with tempfile.TemporaryDirectory(prefix="pocket-") as folder:
            suffix = formats.suffix_of(file)
            image = nib.load(file if file.endswith(suffix) else _in_lower_case(file, Path(folder)))
            return nifti.of_nibabel(cast(nib.spatialimages.SpatialImage, image), file)
    except nifti.READ_ERRORS as error:
        raise DataError(f"The file cannot be read: {first_line(error)}", where=file) from None


def _in_lower_case(file: str, folder: Path) -> str:
    """Return a link to a file, and to the other file of its pair, with the suffixes in lower case."""
    linked = ""
    for part in formats.parts(file):
        suffix = formats.suffix_of(part, (*formats.SUFFIXES, *formats.VOXELS))
        if os.path.exists(part):
            linked = str(folder / f"image{suffix}")
            os.symlink(os.path.abspath(part), linked)
    return linked


def check_slices(path: str | Path, shape: Sequence[int]) -> None:
    """Check that a label map of this shape fits into a file: a 2D image holds a single slice.

    Raises:
        UsageError: `path` has the suffix of a 2D image, and there are several slices.
    """
    if formats.suffix_of(Path(path).name, formats.SLICES) and 1 not in shape:
        raise UsageError(f"A 2D image holds one slice; the result has {' × '.join(map(str, shape))} voxels.",
                         where=str(path), todo="Write .nii.gz.")


def write_image(path: str | Path, data: np.ndarray, grid: Grid, *, note: str = "", slope: float = 1.0) -> None:
    """Write a RAS+ array with exactly the geometry of `grid`, in the format of the suffix. The write is atomic.

    Args:
        path: A file with one of the suffixes `formats.WRITTEN`.
        data: (x, y, z) in RAS+ on the RAS+ form of `grid`; written with its own data type.
        grid: The geometry of the file.
        note: Description for the header, at most 79 bytes.
        slope: Factor by which readers multiply the stored values; other formats than NIfTI get the products.

    Raises:
        ValueError: The shape differs from the grid's.
        UsageError: The suffix is none of these.
    """
    path = Path(path)
    suffix = formats.suffix_of(path.name, formats.WRITTEN)
    if not suffix:
        raise UsageError("This format cannot be written.", where=str(path),
                         todo=f"Use one of these: {formats.TAKEN}.")
    data = from_ras(data, grid)
    if data.shape != grid.shape:
        raise ValueError(f"Expected the grid's shape {grid.shape}. Received: {data.shape}")
    if suffix in formats.SLICES:
        check_slices(path, grid.shape)
        with atomic(path) as temporary:
            flat.write(Path(temporary), data, note)
        return
    if suffix in formats.NIFTI:
        header = nifti.header_for(data.dtype, grid, note, slope)
        with atomic(path) as temporary, nib.openers.Opener(cast(str, temporary), "wb") as file:
            header.write_to(file)
            for plane in np.moveaxis(data, -1, 0):
                file.write(plane.tobytes(order="F"))
        return
    with tempfile.TemporaryDirectory(prefix=outputs.PART, dir=_made(path.parent)) as folder:
        _write_other(Path(folder) / path.name, suffix, data, grid, note, slope)
        for part in formats.parts(path.name):
            if (Path(folder) / part).exists():
                with atomic(path.with_name(part)) as temporary:
                    shutil.move(Path(folder) / part, temporary)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_other(path: Path, suffix: str, data: np.ndarray, grid: Grid, note: str, slope: float) -> None:
    """Write a file of another format than NIfTI; `data` are in file axes."""
    values = data if slope == 1.0 else data * np.float32(slope)
    if suffix in formats.ITK:
        import SimpleITK as sitk

        image = itk.as_simpleitk(values, grid.affine)
        image.SetMetaData(NOTE, note)
        sitk.WriteImage(image, str(path))
    elif suffix in formats.FREESURFER:
        nib.save(nib.MGHImage(np.ascontiguousarray(values), grid.affine), path)
    else:
        header = nifti.header_for(values.dtype, grid, note, 1.0)
        pair: Any = nib.Nifti2Pair if isinstance(header, nib.Nifti2Header) else nib.Nifti1Pair
        nib.save(pair(values.reshape(nifti.stored_shape(grid)), None, header), path)


def note_of(path: Path) -> str:
    """Return the note on its origin in a result's header; an empty text if there is none."""
    suffix = formats.suffix_of(path.name)
    try:
        if formats.is_picture(path.name):
            return flat.note_of(path)
        if suffix in formats.ITK:
            import SimpleITK as sitk

            reader = sitk.ImageFileReader()
            reader.SetFileName(str(path))
            reader.ReadImageInformation()
            return reader.GetMetaData(NOTE) if reader.HasMetaDataKey(NOTE) else ""
        header = nib.load(path).header
        return bytes(header[NOTE].item()).decode(errors="replace") if isinstance(header, nib.Nifti1Header) else ""
    except (RuntimeError, SyntaxError, *nifti.READ_ERRORS):
        return ""
