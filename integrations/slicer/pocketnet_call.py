"""Call `pocket-infer` as a process of its own: Slicer's Python needs none of its libraries.

Only the standard library is used, so that this file runs in Slicer and outside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

COMMAND = "pocket-infer"
LIBRARY_SETTINGS = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "QT_PLUGIN_PATH")
"""What Slicer sets for its own libraries, and another Python must not see."""


class Segmented(NamedTuple):
    """Result of a call.

    Attributes:
        label_map: The label map, on the grid of the image.
        colours: Colour table of 3D Slicer with the labels' names.
        said: Messages of the command, such as warnings about the image.
    """

    label_map: Path
    colours: Path
    said: str


class Failed(Exception):
    """The command could not segment the image; the message is for the user."""


def segment(command: str, model: str, image: Path, folder: Path,
            environment: Mapping[str, str] | None = None) -> Segmented:
    """Segment an image.

    Args:
        command: Path of `pocket-infer`, or its name on PATH.
        model: A model folder, or the name of one (`hippocampus`).
        image: A volume, for example `.nii.gz`.
        folder: Output folder.
        environment: Environment variables of the process; None: those of this one.

    Raises:
        Failed: There is no such command, or it ended with an error.
    """
    found = shutil.which(os.path.expanduser(command))
    if found is None:
        raise Failed(f"There is no {command}. Give the path of pocket-infer: in a clone's bin/, or where pip put it.")
    given = os.environ if environment is None else environment
    done = subprocess.run([found, "--model", model, str(image), "-o", str(folder), "--extras"], text=True,
                          capture_output=True, check=False,
                          env={name: value for name, value in given.items() if name not in LIBRARY_SETTINGS})
    if done.returncode:
        raise Failed(done.stderr.strip() or f"{command} ended with code {done.returncode}.")
    label_map = folder / f"{image.name.removesuffix('.gz').removesuffix('.nii')}.nii.gz"
    return Segmented(label_map, folder / "labels.ctbl", done.stderr.strip())
