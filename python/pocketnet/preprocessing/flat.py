"""Read 2D images (PNG, TIFF, JPEG) as volumes of one slice, for segmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError
from .decode import decoded
from .grid import Grid, to_ras
from .image import Channel, Image

AFFINE = np.diag([-1.0, -1.0, 999.0, 1.0])
"""Columns run to the left and rows to the back, as on a screen; a pixel counts as 1 mm, and 999 mm through the plane
keep networks from joining slices, as in nnU-Net's natural images."""
_GREY = ("1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L")
"""Pillow's modes with one number per pixel. `P` has the numbers of a palette's colours, as label images do."""


def parse(content: bytes, path: str | Path) -> Image:
    """Decode a 2D image as a volume (x, y, 1) in RAS+ with the file's own values.

    Args:
        content: The bytes of a PNG, TIFF or JPEG file.
        path: For messages.

    Raises:
        DataError: The content is another format, is damaged, or has colours or several pages. Transparency is ignored.
    """
    with decoded(content, path, ("PNG", "TIFF", "JPEG")) as image:
        pages, mode = getattr(image, "n_frames", 1), image.mode
        pixels = np.asarray(image)
        if mode in ("LA", "RGB", "RGBA"):
            pixels = _grey(pixels)
    if pixels.ndim != 2 or mode not in (*_GREY, "LA", "RGB", "RGBA") or pages != 1:
        found = f"{pages} pages" if pages != 1 else f"colours ({mode})"
        raise DataError(f"Expected one grey value per pixel, found {found}.", where=str(path),
                        todo="Save one page in shades of grey.")
    data = (pixels.astype(np.uint8) if mode == "1" else pixels).T[..., None]
    grid = Grid((data.shape[0], data.shape[1], 1), AFFINE)
    return Image(Channel(to_ras(data, grid)), grid, str(path))


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Return the grey values of (row, column, channel), without transparency; unchanged if there are colours."""
    colours = pixels[..., : 3 if pixels.shape[-1] > 2 else 1]
    return colours[..., 0] if (colours == colours[..., :1]).all() else pixels
