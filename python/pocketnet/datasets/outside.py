"""Name what a dataset's folder holds and no case uses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..preprocessing import folders, formats
from ..preprocessing.geometry import file_and_volume
from . import annotated, bids, groups, index, table
from .folder import Listing, Problem


def left_out(folder: Path, listing: Listing, problems: Sequence[Problem]) -> tuple[list[Problem], list[str]]:
    """Return dangling links to volumes as problems, and one line per kind of everything else that is not used.

    Args:
        folder: The dataset's folder.
        listing: Its cases.
        problems: Problems found so far; the files that they name are not named again.
    """
    used = {file_and_volume(path)[0] for case in listing.cases
            for path in (*case.images.values(), *([case.label] if case.label else []))}
    used |= {part for path in used for part in formats.beside(path)}
    used |= {index.INDEX, table.TABLE, annotated.FILE, *groups.TABLES, bids.DESCRIPTION, bids.PARTICIPANTS,
             *(problem.file for problem in problems)}
    found = folders.contents(folder)
    for file in found.files:
        if file.relative_to(folder).as_posix() not in used:
            found.leave_out(folders.kind_of(file), file)
    dangling = found.take_out(folders.DANGLING, lambda link: formats.is_volume(link.name))
    names = {link: link.relative_to(folder).as_posix() for link in dangling}
    return [Problem("", name, f"a link to {os.readlink(link)}, which is not there")
            for link, name in names.items() if name not in used], list(folders.summary(found.left_out, folder))
