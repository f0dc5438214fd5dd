"""Supported folder layouts by name, and their detection."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..contracts.tasks import TASKS
from ..errors import UsageError
from . import annotated, bids, brats, covidx, decathlon, image_table, presets, table, templates
from .folder import Listing, subfolders
from .presets import Preset

LAYOUTS = {"decathlon": decathlon, "brats": brats, "csv": table, "covidx": covidx, "image_table": image_table,
           "bids": bids}


def scan(folder: Path, preset: Preset, wanted: Sequence[str] = ()) -> Listing:
    """List the cases of a dataset's folder in its preset's layout.

    Args:
        folder: The dataset's folder.
        preset: The dataset's preset.
        wanted: Modalities to use; empty: all.

    Raises:
        UsageError: The folder is missing, unreadable or has a different layout, the layout is unknown, or a wanted
            modality does not exist.
    """
    if preset.layout not in LAYOUTS and not preset.files:
        raise presets.unknown("layout", preset.layout, LAYOUTS, option=f"the preset {preset.name}")
    if not folder.is_dir():
        raise UsageError("There is no such folder.", where=f"--input {folder}",
                         todo=f"Get the data: {preset.source['where']}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UsageError("Permission denied: this folder cannot be read.", where=f"--input {folder}",
                         todo="Change its permissions.")
    if not _matches(folder, preset):
        _refuse(folder, preset)
    adapter = templates if preset.files else LAYOUTS[preset.layout]
    listing = adapter.scan(folder, preset, wanted)
    return annotated.add(folder, listing) if TASKS[preset.task].per_voxel else listing


def fitting(folder: Path) -> list[Preset]:
    """Return the shipped presets whose layout a folder has: presets of one dataset first, then the general ones."""
    return [preset for preset in map(presets.load, presets.names()) if _matches(folder, preset)]


def _matches(folder: Path, preset: Preset) -> bool:
    if preset.files:
        return templates.matches(folder, preset)
    return LAYOUTS[preset.layout].matches(folder)


def describe(preset: Preset) -> str:
    """Describe a preset's layout for messages: the first line of the adapter's docstring, or the file templates."""
    return templates.describe(preset) if preset.files else str(LAYOUTS[preset.layout].__doc__).split("\n")[0]


def _refuse(folder: Path, preset: Preset) -> None:
    """Raise a UsageError that suggests another preset or a subfolder, or describes the layout."""
    found = fitting(folder)
    if found:
        names = list(dict.fromkeys(other.layout for other in found))
        raise UsageError(f"This folder has the {' or '.join(names)} layout, but dataset {preset.name!r} has "
                         f"{preset.layout}.", where=f"--input {folder}",
                         todo=f"Use --dataset {' or '.join(other.name for other in found)}, or a preset file.")
    inner = [path for path in subfolders(folder) if _matches(path, preset)]
    if inner:
        raise UsageError(f"This folder has no {preset.layout} layout, but a folder in it has.",
                         where=f"--input {folder}",
                         todo=f"Use --input {' or --input '.join(map(str, inner))}.")
    raise UsageError(f"This folder has no known layout; dataset {preset.name!r} has {preset.layout}.",
                     where=f"--input {folder}", todo=f"The layout of {preset.name}: {describe(preset)}")
