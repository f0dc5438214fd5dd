"""Read NIfTI files and other images of nibabel, and make the header of a result."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np

from ..errors import DataError, first_line
from ..text import counted
from .grid import Grid, apart, check_grid, to_ras
from .image import Channel, Image

READ_ERRORS = (OSError, EOFError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, MemoryError,
               AssertionError, zlib.error, struct.error, nib.filebasedimages.ImageFileError,
               nib.spatialimages.HeaderDataError, nib.wrapstruct.WrapStructError)
"""What readers raise on a damaged file."""
SELECTED = re.compile(r"(?is)(.+\.(?:nii(?:\.gz)?|png|tiff?|jpe?g))\[(\d+)\]")
MAGIC = b"\x1f\x8b"
STARTS = (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c")
"""First bytes of NIfTI-1 and NIfTI-2, in both byte orders."""
HEADER_BYTES = 544
MOST_BYTES = 32 * 2**30
"""Maximum unpacked size of a file."""
SLACK_BYTES = 64 * 2**20
"""Bytes by which an unpacked file may exceed the size that its header announces."""
SMALL_BYTES = 2**30
MOST_RATIO = 900
"""Maximum unpacked bytes per packed byte of a file that unpacks to more than `SMALL_BYTES`; gzip reaches 1032."""
MM = {"micron": 1e-3, "meter": 1e3}
"""mm per unit of a header; other units are taken as mm."""
TOLERANCE = 0.01
"""Distance between the places that qform and sform give a voxel, in voxels, above which they disagree."""
NO_CODES = "the header says no orientation (qform and sform codes are 0)"
GEOMETRY = ("pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
            "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units")
"""Header fields that say where the voxels lie."""


def file_and_volume(path: str | Path) -> tuple[str, int | None]:
    """Split `scan.nii.gz[2]` (or `image.png[2]`, a channel) into the file and 2; without one, the file and None."""
    match = SELECTED.fullmatch(str(path))
    return (match.group(1), int(match.group(2))) if match else (str(path), None)


def parse(content: bytes, path: str | Path) -> Image:
    """Read the content of a NIfTI file; see `parse_unzipped`. A gzip stream is read and verified to its end.

    Raises:
        DataError: The content is truncated, damaged, too large, not NIfTI, or unusable.
    """
    unzipped, warnings = unzip(content, path)
    return parse_unzipped(unzipped, path, warnings)


def parse_unzipped(content: bytes, path: str | Path, warnings: tuple[str, ...] = ()) -> Image:
    """Read the decompressed content of a NIfTI file without copying its voxels.

    Args:
        content: The bytes.
        path: The path, for messages, and for the index of a volume of a 4D file.
        warnings: Earlier findings about the file.

    Raises:
        DataError: The content is truncated, not NIfTI, or unusable.
    """
    image = _opened(content, path)
    proxy = cast(nib.arrayproxy.ArrayProxy, image.dataobj)
    expected = proxy.offset + math.prod(image.shape) * image.get_data_dtype().itemsize
    if len(content) < expected:
        raise DataError(f"The file is truncated: its header announces {expected} bytes, there are {len(content)}.",
                        where=str(path))
    check_kind(image.get_data_dtype(), str(path))
    raw = np.ndarray(image.shape, proxy.dtype, content, proxy.offset, order="F")
    return of_nibabel(image, path, Channel(raw, proxy.slope, proxy.inter), warnings)


def _opened(content: bytes, path: str | Path) -> nib.Nifti1Image:
    """Return a NIfTI image whose voxels are not read yet."""
    kind = nib.Nifti2Image if content.startswith(STARTS[2:]) else nib.Nifti1Image
    try:
        image = kind.from_bytes(content)
        offset = float(image.header["vox_offset"])
        if not np.isfinite(offset) or any(n < 0 for n in image.shape):
            raise ValueError(f"vox_offset {offset:g}, shape {image.shape}")
    except READ_ERRORS as error:
        raise unreadable(error, path) from None
    return image


def unreadable(error: Exception, path: str | Path) -> DataError:
    """Return the error for a file that a reader refuses."""
    return DataError(f"Not a readable NIfTI file: {first_line(error)}", where=str(path))


def of_nibabel(image: nib.spatialimages.SpatialImage, path: str | Path, channel: Channel | None = None,
               warnings: tuple[str, ...] = ()) -> Image:
    """Convert an image of nibabel.

    Args:
        image: The image.
        path: Its path, for messages and the index of a volume, or a name.
        channel: Its stored voxels in file axes, with all axes of the file; None reads them.
        warnings: Earlier findings.

    Raises:
        DataError: The voxels cannot be read or are not numbers, the image is not 3D, or its affine is singular.
    """
    where, volume = str(path), file_and_volume(path)[1]
    shape = tuple(int(n) for n in image.shape)
    if volume is not None and (len(shape) != 4 or volume >= shape[3]):
        raise DataError(f"Expected 4D with at least {volume + 1} volumes, found shape {shape}.", where=where)
    if volume is None and (len(shape) < 3 or any(n != 1 for n in shape[3:])):
        raise DataError(f"Expected a 3D volume, found shape {shape}.", where=where)
    if channel is None:
        channel = _stored(image, where)
    header = image.header.copy() if isinstance(image.header, nib.Nifti1Header) else None
    affine = np.array(image.affine if image.affine is not None or header is None else header.get_best_affine(),
                      dtype=np.float64)
    if header is not None:
        affine, found = _placed(header, affine, shape)
        warnings = (*warnings, *found)
    elif isinstance(image, nib.AnalyzeImage):
        warnings = (*warnings, "Analyze files say no orientation")
    check_grid(shape[:3], affine, where)
    grid = Grid(cast(tuple[int, int, int], shape[:3]), affine, header)
    raw = channel.raw.reshape(grid.shape) if volume is None else channel.raw[..., volume]
    return Image(Channel(to_ras(raw, grid, copy=False), channel.slope, channel.inter), grid, where, warnings)


def _stored(image: nib.spatialimages.SpatialImage, where: str) -> Channel:
    """Return the stored voxels of an image in file axes."""
    data = image.dataobj
    check_kind(image.get_data_dtype() if not isinstance(data, np.ndarray) else data.dtype, where)
    try:
        if isinstance(data, nib.arrayproxy.ArrayProxy):
            return Channel(np.asarray(data.get_unscaled()), float(data.slope), float(data.inter))
        values = np.asarray(data)
    except READ_ERRORS as error:
        raise DataError(f"The voxels cannot be read, the file may be truncated: {first_line(error)}",
                        where=where) from None
    check_kind(values.dtype, where)
    return Channel(values)


def _placed(header: nib.Nifti1Header, affine: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    """Return the affine in mm, and warnings about the header's forms.

    `header` is changed to `affine` (in the header's unit) if a program has given the image another one.
    """
    if apart(header.get_best_affine(), affine, shape) > 1e-3 * float(np.linalg.norm(affine[:3, :3], axis=0).min()):
        header.set_sform(affine, code=int(header["sform_code"]) or "aligned")
        header["qform_code"] = 0
    mm = MM.get(_unit(header), 1.0)
    warnings = []
    if not header["qform_code"] and not header["sform_code"]:
        warnings.append(NO_CODES)
    elif header["qform_code"] and header["sform_code"]:
        try:
            distance = apart(header.get_qform(), header.get_sform(), shape)
        except READ_ERRORS:
            distance = np.inf  # the quaternion is not a rotation
        if not distance <= TOLERANCE * float(np.linalg.norm(affine[:3, :3], axis=0).min()):
            how = f"qform and sform disagree by up to {distance * mm:.3g} mm" if np.isfinite(distance) else \
                "the qform is not a rotation"
            warnings.append(f"{how}; the sform is used, and results get both")
    if mm != 1.0:
        affine = np.diag([mm, mm, mm, 1.0]) @ affine
    return affine, warnings


def _unit(header: nib.Nifti1Header) -> str:
    try:
        return header.get_xyzt_units()[0]
    except KeyError:  # a code that NIfTI does not define
        return "unknown"


def check_kind(dtype: np.dtype, where: str) -> None:
    """Check that voxels are real numbers.

    Raises:
        DataError: They are complex, colours or something else.
    """
    if dtype.kind not in "biuf":
        found = "RGB colours" if dtype.names and set("RGB") <= set(dtype.names) else str(dtype)
        raise DataError(f"Expected numbers as voxels, found {found}.", where=where)


def unzip(content: bytes, path: str | Path) -> tuple[bytes, tuple[str, ...]]:
    """Decompress the content of a file that is gzipped, and verify its checksum.

    Returns:
        The content, and a warning if bytes follow the end of the gzip stream.

    Raises:
        DataError: The content is truncated, damaged, not gzip, larger than its header announces, or so much
            larger than its file that it would fill the memory.
    """
    if not content.startswith(MAGIC):
        if file_and_volume(path)[0].lower().endswith(".gz"):
            raise DataError(f"Not a sound gzip file: it starts with {content[:4]!r}.", where=str(path))
        return content, ()
    most = _most_bytes(content)
    if most > SMALL_BYTES and most > MOST_RATIO * len(content):
        raise DataError(f"Its header announces {most / 2**20:.0f} MiB, but it has {len(content) / 2**20:.3g} MiB. "
                        f"A file is unpacked to at most {MOST_RATIO} times its size.", where=str(path),
                        todo="Save it again without compression, or with a smaller data type.")
    members, size = [], 0
    try:
        while content.startswith(MAGIC):
            stream = zlib.decompressobj(wbits=31)
            members.append(stream.decompress(content, most + 1 - size))
            size += len(members[-1])
            if size > most:
                raise DataError(f"The file unpacks to more than {most} bytes, far more than its header announces.",
                                where=str(path))
            if not stream.eof:
                raise DataError("The gzip stream ends too early: the file is truncated.", where=str(path))
            content = stream.unused_data
    except zlib.error as error:
        if "incorrect" in str(error):
            raise DataError(f"Not a sound gzip file: CRC check failed ({first_line(error)}).",
                            where=str(path)) from None
        raise DataError(f"The gzip stream is damaged: {first_line(error)}", where=str(path)) from None
    rest = content.strip(b"\0")
    follow = counted(len(content), "byte follows", "bytes follow")
    warning = (f"{follow} the end of the gzip stream; they are ignored",) if rest else ()
    return members[0] if len(members) == 1 else b"".join(members), warning


def _most_bytes(content: bytes) -> int:
    """Return the largest size that the header of a gzipped file allows, in bytes."""
    try:
        head = zlib.decompressobj(wbits=31).decompress(content, HEADER_BYTES)
        image = _opened(head.ljust(HEADER_BYTES, b"\0"), "")
        announced = float(image.header["vox_offset"]) + math.prod(image.shape) * image.get_data_dtype().itemsize
    except (DataError, zlib.error):
        return SLACK_BYTES
    return int(min(announced + SLACK_BYTES, MOST_BYTES))


def volumes(path: str | Path) -> int:
    """Return the number of volumes in a NIfTI file's header; 0 if the file is unreadable."""
    try:
        with open(path, "rb") as handle:
            start = handle.read(len(MAGIC))
        with (gzip.open if start == MAGIC else open)(path, "rb") as file:
            shape = _opened(file.read(HEADER_BYTES), path).shape
    except (DataError, *READ_ERRORS):
        return 0
    return math.prod(shape[3:])


def header_for(dtype: np.dtype, grid: Grid, note: str, slope: float) -> nib.Nifti1Header:
    """Return the header of a result: data type, description and scaling are its own, the geometry is the grid's.

    The geometry is that of the grid's header, in its unit and NIfTI version and with its trailing axes of length 1.
    Without a header, or if the affine has been changed since, the affine becomes the sform, and the qform too if that
    can hold it.
    """
    source = grid.header if _agrees(grid) else None
    header = nib.Nifti2Header() if isinstance(source, nib.Nifti2Header) or max(grid.shape) > 32767 \
        else nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(stored_shape(grid))
    if source is None:
        header.set_xyzt_units("mm", "sec")
        header.set_sform(grid.affine, 1)
        header.set_qform(grid.affine, 1)
        if apart(header.get_qform(), grid.affine, grid.shape) > TOLERANCE * min(grid.spacing):
            header["qform_code"] = 0
    else:
        for name in GEOMETRY:
            header[name] = source[name]
    header["descrip"] = note.encode()
    header.set_slope_inter(slope, 0)
    header["vox_offset"] = header.single_vox_offset
    return header


def _agrees(grid: Grid) -> bool:
    """Return whether a grid's header, if it has one, still puts the voxels where its affine does."""
    if grid.header is None:
        return False
    mm = MM.get(_unit(grid.header), 1.0)
    stored = np.diag([mm, mm, mm, 1.0]) @ grid.header.get_best_affine()
    return apart(stored, grid.affine, grid.shape) <= TOLERANCE * min(grid.spacing)


def stored_shape(grid: Grid) -> tuple[int, ...]:
    """Return the shape of a grid's file, with trailing axes of length 1."""
    shape = tuple(int(n) for n in grid.header.get_data_shape()) if grid.header is not None else grid.shape
    return shape if shape[:3] == grid.shape and math.prod(shape[3:]) == 1 else grid.shape
