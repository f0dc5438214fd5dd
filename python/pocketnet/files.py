"""Write files and folders atomically, and compute checksums."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from . import outputs
from .errors import UsageError
from .outputs import sha256 as sha256


@contextmanager
def atomic(path: str | Path, kind: str | None = None, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` when the block ends without an error.

    The temporary name keeps the suffixes of `path` for writers that depend on them. Nothing is left behind if the block
    raises, and a reader never sees an incomplete file.

    Args:
        path: The file to write. Its folder is created.
        kind: The kind, if the file is JSON with a schema.
        private: Whether the folder belongs to the program: existing files are replaced, and no marker is written.

    Raises:
        UsageError: There is a file that may not be replaced (`outputs`).
    """
    path = Path(path)
    private = private or outputs.is_private(path)
    if not private:
        outputs.check_files({path: kind}, shared=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{outputs.PART}{os.getpid()}-{path.name[-50:]}")
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        if not private:
            outputs.check_files({path: kind}, shared=True)  # again: a file may have appeared since
            outputs.record(path.parent, {path.name: sha256(temporary)})
        os.replace(temporary, path)
    except OSError as error:
        _name(error, path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder; rename it to `path` when the block ends without an error.

    If `path` already exists, the new files replace those in its marker.

    Raises:
        UsageError: `path` contains files that may not be replaced (`outputs`).
    """
    path, given = outputs.real(path), Path(path)
    outputs.check_folder(path, shared=True)
    beside = path if path.is_dir() else path.parent  # inside an existing folder, because it may be a mount point
    try:
        beside.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{outputs.PART}{path.name[:50]}-", dir=beside))
    except OSError as error:
        _name(error, given)
        raise
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        checksums = {one.relative_to(temporary).as_posix(): sha256(one)
                     for one in sorted(temporary.rglob("*")) if one.is_file()}
        outputs.record(temporary, checksums)
        if temporary.parent == path or not _became(temporary, path):
            outputs.check_folder(path, shared=True)  # again: files may have appeared since
            outputs.record(path, checksums)
            outputs.clear(path)
            for one in sorted(temporary.iterdir(), key=_when_to_move):
                os.replace(one, path / one.name)
    except OSError as error:
        _name(error, given)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _when_to_move(path: Path) -> tuple[bool, int]:
    """Sort key: the order of writing, because the last files mark the others as complete; the marker at the end."""
    return path.name == outputs.MARKER, path.stat().st_mtime_ns


def _became(temporary: Path, path: Path) -> bool:
    """Rename a folder to `path`; return False if `path` is a folder that is not empty."""
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _name(error: OSError, path: Path) -> None:
    """Add the path to an error that lacks one, for example after a full disk."""
    if error.filename is None and error.errno is not None:
        error.filename = str(path)


class NotOrdinary(OSError):
    """A pipe, socket or device where an ordinary file is expected; reading it could wait or go on for ever."""


def content(path: str | Path) -> bytes:
    """Return the content of an ordinary file.

    Raises:
        NotOrdinary: It is a pipe, a socket or a device.
        OSError: It cannot be read.
    """
    with open_ordinary(path) as handle:
        return handle.read()


def open_ordinary(path: str | Path) -> BinaryIO:
    """Open an ordinary file for reading; raises the errors of `content`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # does not wait for a pipe's writer
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise NotOrdinary(errno.EINVAL, "it is a pipe, a socket or a device, not an ordinary file", str(path))


def below(folder: str | Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and all below it, each with the names of its files. Links are followed, each folder once."""
    seen: set[tuple[int, int]] = set()
    for where, folders, names in os.walk(folder, followlinks=True):
        here = os.stat(where)
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders.sort()
        yield Path(where), names


def folders_with(roots: Iterable[Path], name: str, what: str, writer: str) -> list[Path]:
    """Return the folders at or below `roots` that contain a file of a name, sorted, each once.

    Args:
        roots: Where to look.
        name: Name of the file.
        what: What such a folder is called, for the message.
        writer: Command that writes one, for the message.

    Raises:
        UsageError: There is none at or below one of `roots`.
    """
    found: set[Path] = set()
    for root in roots:
        here = [folder for folder, names in below(root) if name in names]
        if not here:
            raise UsageError(f"There is no {what} here.", where=str(root), todo=f"{writer} writes it.")
        found.update(here)
    return sorted(found)


def open_table(path: str | Path) -> TextIO:
    """Open an ordinary file for `csv`: UTF-8, with or without a byte order mark; raises the errors of `content`."""
    return io.TextIOWrapper(open_ordinary(path), encoding="utf-8-sig", newline="")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str, kind: str | None = None) -> None:
    """Write `text` atomically. Raises the errors of `atomic`."""
    with atomic(path, kind) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files may not be UTF-8


def digest(value: Any, digits: int = 16) -> str:
    """Return the first hexadecimal digits of the SHA-256 of a JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
