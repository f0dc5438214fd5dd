"""Checkpoints: the complete state of a training in one file, written atomically and verified when read.

A checkpoint is a NumPy archive of plain arrays, without pickles. It holds the variables of the network, of the
optimiser and of the best network, and the rest of the state as JSON. Its last 64 bytes, the comment of the zip archive,
are the SHA-256 of all bytes before them: a truncated or altered file is detected, names of arrays and zip directory
included, and the previous checkpoint is used.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from .. import files
from ..errors import Stopped

KEEP = 2
STEPS = f"step-{'[0-9]' * 8}.npz"
DIGITS = 64  # of a SHA-256
_BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, json.JSONDecodeError)


def write_checkpoint(folder: Path, step: int, arrays: dict[str, list[np.ndarray]], state: dict[str, Any],
                     keep: int = KEEP) -> Path:
    """Write the checkpoint of `step` and remove all but the last `keep` checkpoints.

    Args:
        folder: The run's checkpoint folder.
        step: Number of completed steps.
        arrays: Variables by group; each group keeps its order.
        state: JSON values.
        keep: Number of checkpoints to keep.

    Returns:
        The path of the checkpoint.
    """
    path = path_of(folder, step)
    named: dict[str, Any] = {f"{group}/{i:05d}": array for group, items in arrays.items()
                             for i, array in enumerate(items)}
    text = np.frombuffer(json.dumps(state, allow_nan=False).encode(), dtype=np.uint8)
    with files.atomic(path, private=True) as temporary, open(temporary, "w+b") as handle:
        np.savez(handle, state=text, **named)
        with zipfile.ZipFile(handle, "a") as archive:
            archive.comment = b"0" * DIGITS
        checksum, _ = _checksums(handle)
        handle.seek(-DIGITS, os.SEEK_END)
        handle.write(checksum)
    for old in sorted(folder.glob(STEPS))[:-keep]:
        old.unlink(missing_ok=True)
    return path


def path_of(folder: Path, step: int) -> Path:
    """Return the path of a checkpoint."""
    return folder / f"step-{step:08d}.npz"


def _checksums(handle: IO[bytes]) -> tuple[bytes, bytes]:
    """Return the SHA-256 of all bytes of a checkpoint but its last 64, and these: the recorded one."""
    left = max(handle.seek(0, os.SEEK_END) - DIGITS, 0)
    handle.seek(0)
    found = hashlib.sha256()
    while left and (part := handle.read(min(left, 2**20))):
        found.update(part)
        left -= len(part)
    return found.hexdigest().encode(), handle.read()


def read(path: Path) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]]:
    """Read a checkpoint and verify its checksum.

    Returns:
        The variables by group, and the state.

    Raises:
        ValueError: The file is truncated, altered or not a checkpoint.
    """
    try:
        with open(path, "rb") as handle:
            found, recorded = _checksums(handle)
            if found != recorded:
                expected = recorded.decode("ascii", "replace") if recorded.isalnum() else "no checksum at its end"
                raise ValueError(f"its SHA-256 is {found.decode()}, recorded is {expected}")
            handle.seek(0)
            return _load(handle)
    except _BROKEN as error:
        raise ValueError(f"{path}: not a whole checkpoint ({error})") from None


def _load(handle: IO[bytes]) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]]:
    with np.load(handle, allow_pickle=False) as archive:
        state = json.loads(archive["state"].tobytes().decode())
        arrays: dict[str, list[np.ndarray]] = {}
        for name in sorted(n for n in archive.files if n != "state"):
            arrays.setdefault(name.split("/")[0], []).append(archive[name])
    return arrays, state


def latest(folder: Path, warn: Callable[[str], object] = lambda message: None,
           ) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]] | None:
    """Read the newest intact checkpoint of a run; return None if there is none.

    Args:
        folder: The run's checkpoint folder.
        warn: Called with a message about each broken checkpoint that is skipped.
    """
    paths = sorted(folder.glob(STEPS))
    while paths:
        try:
            return read(paths.pop())
        except ValueError as error:
            warn(f"Warning: {error}; {f'using {paths[-1].name}' if paths else 'no other, so training starts anew'}")
    return None


def wait_for(folder: Path, step: int, seconds: float = 90) -> None:
    """Wait until the checkpoint of a step that another node has written is visible here, at most `seconds`.

    A network file system may show it late.
    """
    deadline = time.monotonic() + seconds
    while step and not path_of(folder, step).exists() and time.monotonic() < deadline:
        time.sleep(1)


def keep(folder: Path, step: int) -> None:
    """Copy the checkpoint of a step to `kept_path`, which newer checkpoints do not replace."""
    with files.atomic(kept_path(folder, step), private=True) as temporary:
        shutil.copyfile(path_of(folder, step), temporary)


def kept_path(folder: Path, step: int) -> Path:
    """Return the path of a kept checkpoint."""
    return folder / f"kept-{step:08d}.npz"


def discard(folder: Path, step: int) -> None:
    """Remove the checkpoint of a step, if there is one."""
    path_of(folder, step).unlink(missing_ok=True)


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint of a run; 0 if there is none."""
    return max((int(path.stem.removeprefix("step-")) for path in folder.glob(STEPS)), default=0)


@contextmanager
def lock(folder: Path, log: Callable[[str], object] = lambda message: None,
         until: float | None = None) -> Iterator[None]:
    """Lock a run for one process. A second process waits, then resumes from the first one's last checkpoint.

    Args:
        folder: The run's checkpoint folder.
        log: Called with a message if this process has to wait.
        until: Value of `time.monotonic()` at which to stop waiting; None for no limit.

    Raises:
        Stopped: The lock was not free by `until`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a") as handle:
        waiting = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    log(f"Another process is training this run ({folder}); waiting for it.")
                waiting = True
                if until is not None and time.monotonic() >= until:
                    raise Stopped("The time was up while another process was training this run.", where=str(folder),
                                  todo="Run the same command again to go on.") from None
                time.sleep(1)
        yield
