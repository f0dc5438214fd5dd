"""List the content of a folder: links are followed, and unreadable entries are named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..outputs import MARKER, PART
from . import formats

SHOWN = 5
"""Maximum number of files per kind in a summary."""
DANGLING, UNREADABLE, LOOP, HIDDEN = "dangling link", "unreadable folder", "looping link", "hidden file"


@dataclass
class Contents:
    """Content of a folder and its subfolders.

    Attributes:
        files: All files, those of a folder before those of its subfolders, each sorted by name.
        folders: The folder itself and all folders below it, in the same order.
        left_out: What is neither, by kind.
    """

    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    left_out: dict[str, list[Path]] = field(default_factory=dict)

    def leave_out(self, kind: str, path: Path) -> None:
        """Note a path that is not taken."""
        self.left_out.setdefault(kind, []).append(path)

    def take_out(self, kind: str, which: Callable[[Path], bool]) -> list[Path]:
        """Return the paths of a kind that `which` accepts, and remove them from `left_out`."""
        taken = [path for path in self.left_out.get(kind, ()) if which(path)]
        rest = [path for path in self.left_out.pop(kind, ()) if path not in taken]
        if rest:
            self.left_out[kind] = rest
        return taken


def contents(folder: Path, without: Callable[[Path], bool] = lambda path: False) -> Contents:
    """List a folder with all its subfolders.

    Linked folders are followed, except back to a folder above them. Hidden files and folders are left out, and the
    markers of our own output are ignored.

    Args:
        folder: The folder.
        without: Whether to ignore a folder.
    """
    out = Contents()
    _list(folder, (os.path.realpath(folder),), without, out)
    return out


def _list(folder: Path, above: tuple[str, ...], without: Callable[[Path], bool], out: Contents) -> None:
    out.folders.append(folder)
    try:
        with os.scandir(folder) as entries:
            paths = sorted(folder / entry.name for entry in entries)
    except OSError:
        out.leave_out(UNREADABLE, folder)
        return
    inner = []
    for path in paths:
        if path.name == MARKER or path.name.startswith(PART):
            continue
        if path.name.startswith("."):
            out.leave_out(HIDDEN, path)
        elif path.is_symlink() and not path.exists():
            out.leave_out(DANGLING, path)
        elif path.is_dir():
            inner.append(path)
        else:
            out.files.append(path)
    for path in inner:
        real = os.path.realpath(path)
        if real in above:
            out.leave_out(LOOP, path)
        elif not without(path):
            _list(path, (*above, real), without, out)


def kind_of(path: Path) -> str:
    """Return the kind of a file that is not taken, for a summary: its suffix."""
    suffix = formats.suffix_of(path.name, (*formats.SUFFIXES, *formats.VOXELS)) or path.suffix.lower()
    return f"{suffix} file" if suffix else "file without suffix"


def summary(left_out: dict[str, list[Path]], folder: Path | None = None) -> Iterator[str]:
    """Yield one line per kind of omitted entry: the number and the first names, relative to `folder`."""
    for kind, paths in sorted(left_out.items()):
        names = [_relative(path, folder) for path in paths[:SHOWN]]
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        yield f"left out: {len(paths)} {_several(kind) if len(paths) > 1 else kind}: {', '.join(names)}{more}"


def _several(kind: str) -> str:
    """Return the plural of a kind: of its first noun."""
    for noun in ("file", "link", "folder"):
        if noun in kind.split():
            return kind.replace(noun, f"{noun}s", 1)
    return kind  # series


def _relative(path: Path, folder: Path | None) -> str:
    return path.relative_to(folder).as_posix() if folder is not None and path.is_relative_to(folder) else str(path)
