"""The index of a folder of stores: what their `case.json` files say, in one file, so that a training opens one file
instead of thousands.

`index.npz` has two arrays: `cases`, JSON with the fields of each case but its voxel indices, and `voxels`, (n, axes)
int32, with the voxel indices of all cases one after the other. The last 64 bytes of the file are the SHA-256 of all
bytes before them.

An entry counts as long as its `case.json` has the size and time of modification that the index has recorded. All other
stores are opened one by one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..errors import AlteredError

INDEX = "index.npz"
DIGITS = 64  # of a SHA-256


@dataclass(frozen=True)
class Entry:
    """What a store's `case.json` says of reading it.

    Attributes:
        fields: All keys but `foreground`, `known`, `source_shape` and `crop`.
        foreground: Voxel indices by label, (n, axes) int32.
        known: Indices of annotated voxels, (n, axes) int32; None: all voxels are.
    """

    fields: Mapping[str, Any]
    foreground: Mapping[str, np.ndarray]
    known: np.ndarray | None


def state(folder: Path) -> list[int] | None:
    """Return size and time of modification, in ns, of a store's `case.json`; None if it cannot be read."""
    try:
        status = os.stat(folder / "case.json")
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def write(folder: Path, entries: Mapping[Path, Entry]) -> None:
    """Write the index of the stores in a folder; `entries` are those of its stores, by the store's folder."""
    lines, parts = [], []
    for place, entry in entries.items():
        counts = {name: len(voxels) for name, voxels in entry.foreground.items()}
        lines.append({"store": place.name, "state": state(place), "fields": dict(entry.fields), "foreground": counts,
                      "known": None if entry.known is None else len(entry.known)})
        parts += [*entry.foreground.values(), *([] if entry.known is None else [entry.known])]
    axes = len(next(iter(entries.values())).fields["shape"])
    voxels = np.concatenate([np.zeros((0, axes), np.int32), *(part.reshape(-1, axes) for part in parts)])
    cases = np.frombuffer(json.dumps(lines).encode(), np.uint8)
    archive = io.BytesIO()
    np.savez(archive, cases=cases, voxels=voxels)
    with files.atomic(folder / INDEX) as temporary:
        temporary.write_bytes(archive.getvalue() + _checksum(archive.getvalue()))


def read(folder: Path) -> dict[str, Entry]:
    """Return the entries of a folder's index by the store's name, of those stores that are as they were.

    Raises:
        AlteredError: The index is not as it was written.
    """
    path = folder / INDEX
    if not path.is_file():
        return {}
    content = files.content(path)
    archive, recorded = content[:-DIGITS], content[-DIGITS:]
    if _checksum(archive) != recorded:
        raise AlteredError("The index of these stores is not as it was written.", where=str(path),
                           todo="Remove it: the stores are then opened one by one.")
    with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
        cases, voxels = arrays["cases"], arrays["voxels"]
    found, start = {}, 0
    for line in json.loads(cases.tobytes()):
        foreground = {}
        for name, count in line["foreground"].items():
            foreground[name], start = voxels[start:start + count], start + count
        known = None
        if line["known"] is not None:
            known, start = voxels[start:start + line["known"]], start + line["known"]
        if line["state"] == state(folder / line["store"]):
            found[line["store"]] = Entry(line["fields"], foreground, known)
    return found


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
