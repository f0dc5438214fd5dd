"""Files of a contract, as JSON values: what tests write, change and look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketnet.contracts.base import Record
from pocketnet.contracts.kinds import KINDS


def write_json(path: Path, value: Any, kind: str) -> None:
    """Check a value, or take a contract, as a kind of file and write it."""
    if isinstance(value, Record):
        value = value.to_json()
    KINDS[kind].from_json({key: item for key, item in value.items() if key not in ("kind", "schema_version")},
                          path, kind).write(path)


def read_json(path: Path, kind: str) -> dict:
    """The value of a file, checked."""
    return KINDS[kind].read(path).to_file()
