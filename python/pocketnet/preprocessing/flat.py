"""Read and write 2D images (PNG, TIFF, JPEG) as volumes of one slice, for segmentation."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from .decode import decoded
from .formats import PICTURES, suffix_of
from .grid import Grid, to_ras
from .image import Channel, Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

AFFINE = np.diag([-1.0, -1.0, 999.0, 1.0])
"""Columns run to the left and rows to the back, as on a screen; a pixel counts as 1 mm, and 999 mm through the plane
keep networks from joining slices, as in nnU-Net's natural images."""
NOTE = "descrip"
"""Key of the note on a result's origin in a PNG file."""
DESCRIPTION, BITS = 270, 258
"""Tags of TIFF: the note on a result's origin, and the bits of each channel."""
_GREY = ("1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L")
"""Pillow's modes with one number per pixel. `P` has the numbers of a palette's colours, as label images do."""
_COLOURS = ("LA", "RGB", "RGBA")


def parse(content: bytes, path: str | Path, channel: int | None = None) -> Image:
    """Decode a 2D image as a volume (x, y, 1) in RAS+ with the file's own values.

    Args:
        content: The bytes of a PNG, TIFF or JPEG file.
        path: For messages.
        channel: The channel to read of an image in colours (0 red, 1 green, 2 blue); None for an image in grey.

    Raises:
        DataError: The content is no such image, is damaged, has several pages, colours if no channel is given, or no
            such channel. Transparency is ignored.
    """
    with decoded(content, path, ("PNG", "TIFF", "JPEG")) as image:
        found = _fault(image, content)
        pixels = np.asarray(image) if not found else np.zeros((1, 1))
        if image.mode == "P" and channel is not None:
            pixels = np.asarray(image.convert("RGB"))
        if image.mode in _COLOURS:
            pixels = pixels[..., : 3 if image.mode != "LA" else 1]
        mode = image.mode
    if pixels.ndim == 3 and channel is None and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if not found and pixels.ndim == 3 and channel is None:
        raise DataError(f"Expected one grey value per pixel, found colours ({mode}).", where=str(path),
                        todo="Save shades of grey; or, of an image (not of labels), name its channels as modalities.")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if not found and (channel or 0) >= pixels.shape[-1]:
        found = f"at least {(channel or 0) + 1} channels, found {pixels.shape[-1]} ({mode})"
    if found:
        raise DataError(f"Expected {found}.", where=str(path), todo="Save one page in shades of grey, or in RGB.")
    plane = pixels[..., channel or 0]
    data = (plane.astype(np.uint8) if mode == "1" else plane).T[..., None]
    grid = Grid((data.shape[0], data.shape[1], 1), AFFINE)
    return Image(Channel(to_ras(data, grid)), grid, str(path))


def channels(path: str | Path) -> int:
    """Return the number of channels of a 2D image without transparency; 0 if the file is unreadable."""
    from PIL import Image as Pillow

    try:
        with Pillow.open(path, formats=("PNG", "TIFF", "JPEG")) as image:
            return 3 if image.mode in ("RGB", "RGBA") else 1
    except (OSError, ValueError, SyntaxError, struct.error, Pillow.DecompressionBombError):
        return 0


def write(path: Path, data: np.ndarray, note: str) -> None:
    """Write a label map of one slice.

    Args:
        path: The file, with one of the suffixes `formats.SLICES`.
        data: Classes in file axes, one of which has one voxel; uint8.
        note: Note on the origin.
    """
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngInfo

    flat = max(axis for axis, side in enumerate(data.shape) if side == 1)
    image = Pillow.fromarray(np.ascontiguousarray(np.take(data, 0, axis=flat).T))
    if suffix_of(path, PICTURES) == ".png":
        info = PngInfo()
        info.add_text(NOTE, note)
        image.save(path, format="PNG", pnginfo=info)
    else:
        image.save(path, format="TIFF", compression="tiff_deflate", tiffinfo={DESCRIPTION: note})


def note_of(path: Path) -> str:
    """Return the note that `write` left; an empty text if there is none.

    Raises:
        OSError, ValueError: The file cannot be read.
    """
    from PIL import Image as Pillow

    with Pillow.open(path, formats=("PNG", "TIFF")) as image:
        found = getattr(image, "tag_v2", {}).get(DESCRIPTION) or image.info.get(NOTE)
        return str(found or "")


def _fault(image: Picture, content: bytes) -> str:
    """Return what is expected and what is found instead; empty if an image has pixels that can be used."""
    pages = getattr(image, "n_frames", 1)
    if pages != 1:
        return f"one grey value per pixel, found {pages} pages"
    if image.mode not in (*_GREY, *_COLOURS):
        return f"one grey value per pixel, found colours ({image.mode})"
    # Pillow keeps 8 of the 16 bits of a channel.
    wide = max(getattr(image, "tag_v2", {}).get(BITS, (8,))) > 8 if image.format == "TIFF" else \
        image.format == "PNG" and content[24] > 8
    if wide and image.mode in _COLOURS:
        return f"8 bits for each of several channels, found 16 ({image.mode})"
    return ""
