"""Read PNG and JPEG images and prepare them for a classifier.

In memory, an image is (row, column, channel), float32, in the file's own grey values. Training and inference both use
`read` and `prepare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from ..contracts.plan import Preprocessing
from ..errors import DataError
from .boxes import whole
from .case import Prepared
from .decode import decoded
from .intensity import statistics_for

SUFFIXES = (".png", ".jpg", ".jpeg")
_WIDE = ("I", "F", "I;16", "I;16B", "I;16L")


def read(path: str | Path) -> np.ndarray:
    """Read an image file as (row, column) float32; see `parse`.

    Raises:
        DataError: The file is missing, cannot be decoded, or all its pixels have the same value.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"The image cannot be read: {error.strerror or error}.", where=str(path)) from None
    pixels = parse(content, path)
    if fault := empty(pixels):
        raise DataError(f"The image cannot be used: {fault}.", where=str(path))
    return pixels


def empty(pixels: np.ndarray) -> str:
    """Return that all pixels have the same value; an empty string if they do not."""
    return f"empty image: every pixel is {pixels.flat[0]:g}" if pixels.min() == pixels.max() else ""


def parse(content: bytes, path: str | Path) -> np.ndarray:
    """Decode an image file: 8- or 16-bit grey values, or colour converted to grey (ITU-R 601-2 luma).

    The EXIF orientation is applied; transparency is ignored.

    Args:
        content: The bytes of a PNG or JPEG file.
        path: For messages.

    Returns:
        (row, column) float32 in the file's grey values.

    Raises:
        DataError: The content is not a PNG or JPEG image, or is truncated.
    """
    from PIL import ImageOps

    with decoded(content, path, ("PNG", "JPEG")) as image:
        turned = ImageOps.exif_transpose(image)
        if turned.mode not in ("L", *_WIDE):
            turned = turned.convert("RGB").convert("L") if turned.mode != "LA" else turned.getchannel("L")
        return np.asarray(turned).astype(np.float32)


def read_images(paths: Sequence[str | Path]) -> np.ndarray:
    """Read a case's image, (row, column, channel) float32, from one file per channel.

    Raises:
        DataError: A file cannot be decoded, or its size differs from the first.
    """
    images = [read(path) for path in paths]
    problems = [f"{path}: {image.shape[0]}×{image.shape[1]}" for path, image in zip(paths, images, strict=True)
                if image.shape != images[0].shape]
    if problems:
        raise DataError(f"The images of a case differ in size; the first has {images[0].shape[0]}×"
                        f"{images[0].shape[1]} pixels.", problems=problems)
    return np.stack(images, axis=-1)


def resize(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resize an image to `size` without keeping the aspect ratio, as the paper does with X-rays.

    Interpolation is linear. Downsampling widens the filter to all pixels that contribute to a new pixel, which prevents
    aliasing.

    Args:
        image: (row, column, channel).
        size: Rows and columns of the result.

    Returns:
        (*size, channel), float32.

    Source: Pillow's `resize` with `BILINEAR`.
    """
    from PIL import Image

    channels = [image[..., channel].astype(np.float32, copy=False) for channel in range(image.shape[-1])]
    if image.shape[:2] != tuple(size):
        turned = cast(tuple[int, int], tuple(size)[::-1])
        channels = [np.asarray(Image.fromarray(one).resize(turned, Image.Resampling.BILINEAR))
                    for one in channels]
    return np.stack(channels, axis=-1)


def prepare(image: np.ndarray, preprocessing: Preprocessing) -> Prepared:
    """Resize an image and compute its statistics. The pixel size in mm is unknown and set to 1.

    Args:
        image: (row, column, channel).
        preprocessing: Preprocessing section of the plan, with its `size`.
    """
    resized = resize(image, preprocessing.size or image.shape[:-1])
    return Prepared(resized, (1.0, 1.0), image.shape[:-1], whole(image.shape[:-1]),
                    statistics_for(resized, preprocessing.normalisation))
