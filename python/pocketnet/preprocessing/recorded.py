"""Compare the files of a manifest's cases with the checksums that `pocket-check` recorded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .. import files
from ..contracts.manifest import Case
from ..errors import AlteredError
from .geometry import file_and_volume


def check_recorded(case: Case, folder: Path, names: Iterable[str]) -> None:
    """Check that files of a case were not changed since the dataset was checked.

    A file without a recorded checksum is not compared; a missing file is left to its reader.

    Args:
        case: The case of the manifest.
        folder: The dataset's folder.
        names: The images and label maps that are about to be read, as in the manifest.

    Raises:
        AlteredError: Files were changed; the error lists them.
    """
    problems = []
    for name in dict.fromkeys(file_and_volume(name)[0] for name in names):
        recorded, path = case.sha256.get(name), folder / name
        if recorded and path.is_file() and (found := files.sha256(path)) != recorded:
            problems.append(f"{path}: its SHA-256 is {found}, expected {recorded}")
    if problems:
        raise AlteredError("Files were changed after pocket-check.", problems=problems,
                           todo="Restore them, or run pocket-check and all later steps again.")
