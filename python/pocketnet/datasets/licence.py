"""The source and licence of a dataset's images: what its folder says, else its preset."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError
from ..files import content
from ..text import parse_json
from .index import INDEX
from .presets import load, names

OWN = ("your own", "the dataset's")
"""What the presets of layouts say, which know nothing of the data."""


class Terms(NamedTuple):
    """Where data come from and their licence; empty if unknown."""

    where: str
    licence: str


def licence_of(folder: Path | None, dataset: str) -> Terms:
    """Return the terms of a dataset.

    Args:
        folder: The dataset's folder, of which `dataset.json` may have `licence` (or `license`) and `reference`; None if
            it is not known.
        dataset: Name of the dataset.

    Raises:
        DataError: There is a `dataset.json` that cannot be read.
    """
    preset = load(dataset).source if dataset in names() else {}
    where, licence = ("" if any(word in preset.get(key, "") for word in OWN) else preset.get(key, "")
                      for key in ("where", "licence"))
    found = {key: value for key, value in _stated(folder).items() if isinstance(value, str) and value.strip()}
    return Terms(found.get("reference", where), found.get("licence", found.get("license", licence)))


def _stated(folder: Path | None) -> dict[str, Any]:
    """Return the content of a folder's `dataset.json`; empty without one that is an object."""
    path = folder / INDEX if folder else None
    if path is None or not path.is_file():
        return {}
    try:
        found = parse_json(content(path))
    except (OSError, ValueError) as error:
        raise DataError(f"dataset.json cannot be read: {error}", where=str(path)) from None
    return found if isinstance(found, dict) else {}
