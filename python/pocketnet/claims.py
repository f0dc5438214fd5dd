"""Claim outputs, so that no two commands write the same file or folder at once.

A command claims its outputs before its work and holds them until it ends, however it ends: a claim is a lock of the
operating system on a byte of `.part-lock` beside the output, chosen by the output's name. Commands with other outputs
share the folder. Where the file system has no locks, or the file belongs to another user, nothing is claimed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .errors import UsageError

LOCK = ".part-lock"
_TRIES, _PAUSE = 5, 0.05  # another command that ends holds the whole file for a moment


@dataclass
class _Claims:
    """Locks and folders of the current command, by folder and in order of creation."""

    locks: dict[Path, int] = field(default_factory=dict)
    made: list[Path] = field(default_factory=list)


_claims: _Claims | None = None


@contextmanager
def held() -> Iterator[None]:
    """Hold all claims that are made in the block until it ends; outside of such a block, nothing is claimed."""
    global _claims
    if _claims is not None:
        yield
        return
    _claims = _Claims()
    try:
        yield
    finally:
        claims, _claims = _claims, None
        for folder, handle in claims.locks.items():
            _release(folder, handle)
        for folder in reversed(claims.made):
            with suppress(OSError):  # not empty
                folder.rmdir()


def claim(path: Path) -> None:
    """Claim a file.

    Raises:
        UsageError: Another command writes it now.
    """
    _claim(Path(os.path.realpath(path.parent)), path.name, path)


def claim_folder(path: Path) -> None:
    """Claim a folder that is written as a whole; raises the errors of `claim`."""
    there = Path(os.path.realpath(path))
    if there.is_dir() and (os.path.ismount(there) or not os.access(there.parent, os.W_OK | os.X_OK)):
        _claim(there, "", path)
    else:
        _claim(there.parent, there.name, path)


def _claim(folder: Path, name: str, shown: Path) -> None:
    if _claims is None:
        return
    _make(folder, _claims.made)
    byte = int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:7], "big")
    for tried in range(_TRIES):
        handle = _claims.locks.get(folder)
        if handle is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                handle = _claims.locks[folder] = os.open(folder / LOCK, flags, 0o666)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.EACCES, errno.EROFS, errno.ENXIO, errno.EISDIR):
                    return  # a link, another user's, no file: not ours to use
                raise
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                return  # this file system has no locks
            if tried < _TRIES - 1:
                time.sleep(_PAUSE)
        else:
            if _is_there(folder, handle):
                return
            os.close(_claims.locks.pop(folder))  # its last holder has removed the file
    raise UsageError("Another command writes this now.", where=str(shown),
                     todo="Wait until it has ended, or name another --output.")


def _make(folder: Path, made: list[Path]) -> None:
    """Create a folder and its parents; note those that are new."""
    for one in reversed([folder, *folder.parents]):
        if not one.is_dir():
            one.mkdir(exist_ok=True)
            made.append(one)


def _is_there(folder: Path, handle: int) -> bool:
    """Return whether the lock file of a folder is still the open one."""
    try:
        return os.path.samestat(os.stat(folder / LOCK, follow_symlinks=False), os.fstat(handle))
    except FileNotFoundError:
        return False


def _release(folder: Path, handle: int) -> None:
    """Give up the claims in a folder, and remove its lock file unless another command uses it."""
    with suppress(OSError):
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_there(folder, handle):
            os.unlink(folder / LOCK)
    os.close(handle)
