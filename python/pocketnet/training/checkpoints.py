"""Checkpoints: a training's whole state in one file, written whole, verified when read.

A checkpoint is a NumPy archive of plain arrays (nothing is unpickled): the network's and the optimiser's
variables, the best network's, and the rest of the state as JSON. The archive carries a checksum for each
array, so a torn or altered file is noticed, and the one before is used instead.
"""

from __future__ import annotations

import fcntl
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..errors import Stopped

KEEP = 2
STEPS = f"step-{'[0-9]' * 8}.npz"
_BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, json.JSONDecodeError)


def write(folder: Path, step: int, arrays: dict[str, list[np.ndarray]], state: dict[str, Any],
          keep: int = KEEP) -> Path:
    """Write the checkpoint of `step` and remove those before the last `keep`.

    Args:
        folder: One run's folder.
        step: Steps done.
        arrays: Variables by group, each in its own order.
        state: JSON values.
        keep: How many checkpoints to keep.
    """
    path = folder / f"step-{step:08d}.npz"
    named: dict[str, Any] = {f"{group}/{i:05d}": array for group, items in arrays.items()
                             for i, array in enumerate(items)}
    text = np.frombuffer(json.dumps(state, allow_nan=False).encode(), dtype=np.uint8)
    with files.atomic(path, private=True) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, state=text, **named)
    for old in sorted(folder.glob(STEPS))[:-keep]:
        old.unlink(missing_ok=True)
    return path


def read(path: Path) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]]:
    """Read a checkpoint; every array is checked.

    Raises:
        ValueError: The file is torn, altered or not a checkpoint.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            state = json.loads(archive["state"].tobytes().decode())
            arrays: dict[str, list[np.ndarray]] = {}
            for name in sorted(n for n in archive.files if n != "state"):
                arrays.setdefault(name.split("/")[0], []).append(archive[name])
        return arrays, state
    except _BROKEN as error:
        raise ValueError(f"{path}: not a whole checkpoint ({error})") from None


def latest(folder: Path, warn: Callable[[str], object] = lambda message: None,
           ) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]] | None:
    """The newest checkpoint of a run that is whole; None when there is none.

    Args:
        folder: One run's folder.
        warn: Called with a line about each checkpoint that had to be passed over.
    """
    for path in sorted(folder.glob(STEPS), reverse=True):
        try:
            return read(path)
        except ValueError as error:
            warn(f"{error}; using the one before")
    return None


@contextmanager
def lock(folder: Path, say: Callable[[str], object] = lambda message: None,
         until: float | None = None) -> Iterator[None]:
    """Let one process at a time train a run; a second waits, then goes on from what the first has left.

    Raises:
        Stopped: It still waits when `time.monotonic()` has come to `until`.
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
                    say(f"Another process is training this run ({folder}); waiting for it.")
                waiting = True
                if until is not None and time.monotonic() >= until:
                    raise Stopped("The time was up while another process was training this run.", where=str(folder),
                                  todo="Run the same command again to go on.") from None
                time.sleep(1)
        yield
