"""Decode image files with Pillow; every fault of a file is a data error that names it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image


@contextmanager
def decoded(content: bytes, path: str | Path, formats: tuple[str, ...]) -> Iterator[Image]:
    """Yield a decoded image. Pillow's errors within the block are data errors, too.

    Args:
        content: The bytes of the file.
        path: For messages.
        formats: Pillow's names of at least two accepted formats, such as `PNG`.

    Raises:
        DataError: The content is not an image of these formats, is damaged, or is too large.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(content), formats=formats) as image:
            image.load()
            yield image
    except UnidentifiedImageError:
        names = f"{', '.join(formats[:-1])} or {formats[-1]}"
        raise DataError(f"This is not a {names} image.", where=str(path)) from None
    except (OSError, ValueError, SyntaxError, EOFError, zlib.error, struct.error,
            Image.DecompressionBombError) as error:
        raise DataError(f"The image cannot be decoded: {first_line(error)}.", where=str(path)) from None
