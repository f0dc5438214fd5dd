"""Unpack a zip of a DICOM series."""

from __future__ import annotations

import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import DataError
from .headers import HEAD_BYTES, looks_like_dicom

MOST_BYTES = 32 * 2**30
"""Maximum unpacked size of a zip."""
MOST_RATIO = 200
"""Maximum unpacked bytes per packed byte of a zip that unpacks to more than `SMALL_BYTES`."""
SMALL_BYTES = 2**30
BLOCK_BYTES = 2**20


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield the folder or the single DICOM file of a series; a zip is unpacked to a temporary folder.

    Raises:
        DataError: The zip cannot be unpacked.
    """
    if path.is_dir() or not path.name.lower().endswith(".zip"):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="pocket-infer-") as folder:
        _unpack(path, Path(folder))
        yield Path(folder)


def _unpack(path: Path, folder: Path) -> None:
    """Unpack each file of a zip into a numbered subfolder, so that no name points outside and all names are kept.

    Of a file that is not DICOM, only the first bytes are unpacked, which show that it is not.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and not Path(m.filename).name.startswith(".")]
            _check_size(members, path)
            for number, member in enumerate(members):
                inner = folder / f"{number:06d}"
                inner.mkdir()
                with archive.open(member) as source, open(inner / _plain(member.filename), "wb") as target:
                    block = source.read(BLOCK_BYTES)
                    if not looks_like_dicom(block[:HEAD_BYTES]):
                        target.write(block[:HEAD_BYTES])
                        continue
                    while block:
                        target.write(block)
                        block = source.read(BLOCK_BYTES)
    except (zipfile.BadZipFile, RuntimeError, EOFError, NotImplementedError, OSError, ValueError, zlib.error) as error:
        raise DataError(f"This zip cannot be unpacked: {str(error)[:160]}.", where=str(path)) from None


def _check_size(members: list[zipfile.ZipInfo], path: Path) -> None:
    total = sum(m.file_size for m in members)
    packed = max(1, sum(m.compress_size for m in members))
    if total > MOST_BYTES or (total > SMALL_BYTES and total > MOST_RATIO * packed):
        raise DataError(f"This zip would unpack from {packed / 2**20:.0f} MiB to {total / 2**30:.0f} GiB; at most "
                        f"{MOST_BYTES / 2**30:.0f} GiB and {MOST_RATIO} times its size are taken.", where=str(path))


def _plain(name: str) -> str:
    """Return the last part of a member's name as one plain file name of at most 60 characters."""
    plain = re.sub(r"[^\w.()+, #-]", "_", re.split(r"[/\\]", name)[-1])
    return plain[-60:] or "file"
