"""The layouts that are understood, by name, and which one a folder has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from . import brats, covidx, decathlon, image_table, presets
from .folder import Listing, subfolders
from .presets import Preset

LAYOUTS = {"decathlon": decathlon, "brats": brats, "covidx": covidx, "image_table": image_table}


def scan(folder: Path, preset: Preset, wanted: Sequence[str] = ()) -> Listing:
    """List a dataset's folder by its preset's layout.

    Args:
        folder: The dataset's folder.
        preset: Which dataset it is.
        wanted: The modalities to use; empty: all.

    Raises:
        UsageError: The folder is not there, has another layout than the preset's, the layout is not known,
            or a wanted modality is not there.
    """
    if preset.layout not in LAYOUTS:
        raise presets.unknown("layout", preset.layout, LAYOUTS, option=f"the preset {preset.name}")
    if not folder.is_dir():
        raise UsageError("There is no such folder.", where=f"--input {folder}",
                         todo=f"Get the data: {preset.source['where']}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UsageError("This folder may not be read.", where=f"--input {folder}",
                         todo="Change its permissions.")
    adapter = LAYOUTS[preset.layout]
    if not adapter.matches(folder):
        _refuse(folder, preset)
    return adapter.scan(folder, preset, wanted)


def detect(folder: Path) -> str | None:
    """The layout that a folder has, or None."""
    return next((name for name, adapter in LAYOUTS.items() if adapter.matches(folder)), None)


def _refuse(folder: Path, preset: Preset) -> None:
    """Raise what helps: another preset, a folder further in, or what the layout looks like."""
    found = detect(folder)
    if found:
        fitting = [name for name in presets.names() if presets.load(name).layout == found]
        raise UsageError(f"This folder has the {found} layout, but dataset {preset.name!r} has "
                         f"{preset.layout}.", where=f"--input {folder}",
                         todo=f"Use --dataset {' or '.join(fitting)}, or a preset file.")
    inner = [path for path in subfolders(folder) if LAYOUTS[preset.layout].matches(path)]
    if inner:
        raise UsageError(f"This folder has no {preset.layout} layout, but a folder in it has.",
                         where=f"--input {folder}",
                         todo=f"Use --input {' or --input '.join(map(str, inner))}.")
    first_line = LAYOUTS[preset.layout].__doc__.split("\n")[0]
    raise UsageError(f"This folder has no known layout; dataset {preset.name!r} has {preset.layout}.",
                     where=f"--input {folder}", todo=first_line)
