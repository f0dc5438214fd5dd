"""Find a model folder by name: those of the clone's `models/`, or of the folders in `$POCKET_MODELS`."""

from __future__ import annotations

import os
from pathlib import Path

MARK = "provenance.json"
"""A file of every model folder."""


def roots() -> list[Path]:
    """Return the folders that hold models by name: those of `$POCKET_MODELS` (several as in PATH), then the clone's."""
    named = [Path(one).expanduser() for one in os.environ.get("POCKET_MODELS", "").split(os.pathsep) if one]
    return [*named, Path(__file__).resolve().parents[3] / "models"]


def shipped(name: str) -> Path | None:
    """Return the model folder of this name: `hippocampus` if it holds one model folder, or `hippocampus/fold1`.

    Args:
        name: A relative path without `..`; others are no names.

    Returns:
        The first one found in `roots`; None if there is none, or if the name stands for several.
    """
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        return None
    for root in roots():
        found = _models(root / name)
        if len(found) == 1:
            return found[0]
    return None


def known() -> list[str]:
    """Return the names of all model folders in `roots`."""
    return sorted({name for root in roots() if root.is_dir() for folder in sorted(root.iterdir())
                   for model in _models(folder)
                   for name in [folder.name if len(_models(folder)) == 1 else model.relative_to(root).as_posix()]})


def _models(folder: Path) -> list[Path]:
    """Return the model folders at a folder or directly in it."""
    return [folder] if (folder / MARK).is_file() else sorted(path.parent for path in folder.glob(f"*/{MARK}"))
