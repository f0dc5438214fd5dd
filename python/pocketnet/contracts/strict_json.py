"""Strict JSON parsing (RFC 8259 and 7493)."""

from __future__ import annotations

import json
from typing import Any


def loads(data: bytes) -> Any:
    """Parse a JSON text.

    Args:
        data: The file's bytes.

    Raises:
        ValueError: If the text is not UTF-8 or not JSON, has duplicate keys, NaN or infinity, or is nested too deeply.
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"the key {twice[:80]!r} is there twice in one object")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
