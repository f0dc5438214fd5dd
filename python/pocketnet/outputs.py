"""Protect existing files: a command replaces only files that it wrote itself. `files` enforces this on every write.

Each folder that a command writes to gets a marker file, with one line per file: its name, the command and its checksum.

| at the output path                                        | the command            | with `--overwrite` |
|-----------------------------------------------------------|------------------------|--------------------|
| nothing                                                   | writes                 | writes             |
| an unchanged file from the same command                   | replaces it            | replaces it        |
| JSON of the same kind without a marker (published, moved) | replaces it            | replaces it        |
| a file from another command, or changed since             | refuses                | replaces it        |
| anything else                                             | refuses                | refuses            |

Some commands write a whole folder (a model, a store). This folder must be new, empty, or contain only files that may be
replaced. Other commands write single files and leave the rest of the folder alone. Of two commands with the same
output, the second is refused while the first one runs (`claims`).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from . import claims
from .errors import AlteredError, UsageError

MARKER = ".pocketnet-output.jsonl"
PART = ".part-"
"""Prefix of unfinished files and folders. A killed command leaves no other partial output."""
SHOWN = 5
"""Maximum number of files that an error names."""
_MOST_OF_A_MARKER = 2**26
"""Maximum bytes to read from a marker."""


@dataclass(frozen=True)
class Writer:
    """The command that writes files.

    Attributes:
        command: For example `train` for `pocket-train`; `python` for a program that uses the package.
        overwrite: Whether to replace files that another command wrote or that were changed since.
    """

    command: str = "python"
    overwrite: bool = False


_writer = Writer()


@contextmanager
def writing(command: str, overwrite: bool = False) -> Iterator[None]:
    """Set the writing command for the duration of the block; hold its outputs, which no other command may write."""
    global _writer
    before, _writer = _writer, Writer(command, overwrite)
    try:
        with claims.held():
            yield
    finally:
        _writer = before


def check_files(paths: Mapping[Path, str | None], inputs: Iterable[Path] = (), *, shared: bool = False) -> None:
    """Check in advance that files may be written, and claim them.

    Args:
        paths: Each file with its kind if it is JSON with a schema, otherwise with None.
        inputs: Files that the command reads; no output may be one of them.
        shared: Whether other commands may write the files at the same time; they are then not claimed.

    Raises:
        UsageError: A file may not be written; the error names the obstacles.
    """
    _refuse_inputs(paths, inputs)
    found: dict[Path, list[_Obstacle]] = {}
    for path, kind in paths.items():
        _check_place(path.parent)
        if os.path.lexists(path) and (obstacle := _obstacle(path, _entries(path.parent).get(path.name, {}), kind)):
            found.setdefault(path.parent, []).append(obstacle)
    for folder, obstacles in found.items():
        raise _refusal("would be replaced", folder, obstacles)
    for path in () if shared else paths:
        claims.claim(path)


def check_folder(path: Path, inputs: Iterable[Path] = (), *, shared: bool = False) -> None:
    """Check in advance that a whole folder may be written, and claim it.

    Args:
        path: The folder; it must be new, empty, or contain only files that may be replaced.
        inputs: Paths that the command reads; the folder may not be one of them.
        shared: As for `check_files`.

    Raises:
        UsageError: The folder may not be written; the error names the obstacles.
    """
    _refuse_inputs([path], inputs)
    there = os.path.lexists(path)
    _check_place(path if there else path.parent)
    obstacles = list(islice(_obstacles(path), SHOWN + 1)) if there else []
    if obstacles:
        raise _refusal("are in this folder, which is written as a whole", path, obstacles)
    if not shared:
        claims.claim_folder(path)


def record(folder: Path, checksums: Mapping[str, str]) -> None:
    """Add files to a folder's marker; `checksums` maps names relative to the folder to SHA-256."""
    lines = "".join(json.dumps({"file": name, "command": _writer.command, "sha256": checksum}) + "\n"
                    for name, checksum in checksums.items()).encode()
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(folder / MARKER, flags, 0o666), "r+b", buffering=0) as handle:
        size = os.fstat(handle.fileno()).st_size
        torn = size and os.pread(handle.fileno(), 1, size - 1) != b"\n"  # a full disk cut the last line
        handle.write(b"\n" * bool(torn) + lines)


def check_unaltered(paths: Iterable[Path]) -> None:
    """Check that results of commands were not changed since they were written, according to their folders' markers.

    Files that a marker does not list are not checked. Links are followed, because schedulers use them to stage files.

    Raises:
        AlteredError: Files were changed; the error lists them.
    """
    problems = []
    for path in paths:
        place = real(path)
        recorded = _entries(place.parent).get(place.name, {})
        if recorded and place.is_file() and sha256(place) not in set().union(*recorded.values()):
            problems.append(f"{path} was changed since {_spoken(list(recorded)[-1])} wrote it")
    if problems:
        raise AlteredError("These results are not as they were written.", problems=problems,
                           todo="Make them anew with that command. If the change is yours and intended, copy the file "
                                "to a folder of your own and use the copy.")


def remove(path: Path, kind: str | None = None) -> None:
    """Remove a file if it exists and may be replaced. Raises the errors of `check_files`."""
    check_files({path: kind}, shared=True)
    path.unlink(missing_ok=True)


def remove_earlier(folder: Path, pattern: str) -> None:
    """Remove the files in a folder that match `pattern` and may be replaced; keep all others."""
    entries = _entries(folder)
    for path in folder.glob(pattern):
        if _obstacle(path, entries.get(path.name, {}), None) is None:
            path.unlink()


def clear(folder: Path) -> None:
    """Remove the files in a folder's marker, and subfolders that become empty. Raises the errors of `check_folder`."""
    check_folder(folder, shared=True)
    for name in _entries(folder).keys() & {path.relative_to(folder).as_posix() for path in _walk(folder)}:
        (folder / name).unlink()
        for parent in list((folder / name).relative_to(folder).parents)[:-1]:
            with suppress(OSError):  # not empty yet
                (folder / parent).rmdir()


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def real(path: str | Path) -> Path:
    """Return a path without links. Links in a circle stay; `Path.resolve` raises a RuntimeError for them."""
    return Path(os.path.realpath(path))


def is_private(path: Path) -> bool:
    """Return whether a path lies in an unfinished folder, whose files belong to the current command only."""
    return any(part.startswith(PART) for part in path.absolute().parts[:-1])


@dataclass(frozen=True)
class _Obstacle:
    """A file that must not be replaced: its name, the reason, and whether `--overwrite` would replace it."""

    name: str
    why: str
    ours: bool = False


def _obstacle(path: Path, recorded: Mapping[str, set[str]], kind: str | None,
              name: str | None = None) -> _Obstacle | None:
    """Return why an existing file may not be replaced; None if it may.

    Args:
        path: The file.
        recorded: Its checksums in the marker, by command.
        kind: Its kind if it is JSON with a schema.
        name: Name for messages; None for the file name.
    """
    name = name or path.name
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "no ordinary file"
        return _Obstacle(name, what)
    if not recorded:
        return None if kind and _kind(path) == kind else _Obstacle(name, "not written by a pocket command")
    if _writer.overwrite:
        return None
    checksum = sha256(path)
    if checksum in recorded.get(_writer.command, ()):
        return None
    by = [command for command, known in recorded.items() if checksum in known]
    return _Obstacle(name, f"of {_spoken(by[0])}" if by else f"changed since {_spoken(list(recorded)[-1])} wrote it",
                     ours=True)


def _obstacles(folder: Path) -> Iterator[_Obstacle]:
    """Yield everything in a folder that may not be replaced."""
    entries = _entries(folder)
    ours = {parent.as_posix() for name in entries for parent in Path(name).parents}
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            if name not in ours:
                yield _Obstacle(f"{name}/", "not written by a pocket command")
        elif obstacle := _obstacle(path, entries.get(name, {}), None, name):
            yield obstacle


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder except its marker and unfinished files; links are not followed."""
    for path in sorted(folder.iterdir()):
        if path.name != MARKER and not path.name.startswith(PART):
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from _walk(path)


def _entries(folder: Path) -> dict[str, dict[str, set[str]]]:
    """Read a folder's marker: for each file, its checksums by command. Damaged lines are ignored."""
    try:
        if not stat.S_ISREG((folder / MARKER).lstat().st_mode):
            return {}
        with open(folder / MARKER, "rb") as handle:
            lines = handle.read(_MOST_OF_A_MARKER).splitlines()
    except OSError:
        return {}
    found: dict[str, dict[str, set[str]]] = {}
    for line in lines:
        try:
            entry = json.loads(line)
            name, command, checksum = entry["file"], entry["command"], entry["sha256"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if all(isinstance(value, str) for value in (name, command, checksum)):
            found.setdefault(name, {}).setdefault(command, set()).add(checksum)
    return found


def _kind(path: Path) -> str | None:
    """Return the kind of a JSON file with a schema of this package; None for other files."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value["kind"] if isinstance(value, dict) and {"kind", "schema_version"} <= value.keys() else None


def _refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    read = {real(path) for path in inputs}
    for path in outputs:
        if real(path) in read:
            raise UsageError("The output would overwrite an input.", where=str(path),
                             todo="Name another --output.")


def _check_place(folder: Path) -> None:
    """Check that a folder exists or can be created.

    Raises:
        UsageError: A file is in its place, or permission to write to it or to its marker is missing.
    """
    there = next((path for path in (folder, *folder.absolute().parents) if os.path.lexists(path)), folder)
    if not there.is_dir():
        raise UsageError("Expected a folder; this is not one.", where=str(there),
                         todo="Name another --output.")
    closed = [path for path, need in ((there, os.W_OK | os.X_OK), (there / MARKER, os.R_OK | os.W_OK))
              if os.path.lexists(path) and not os.access(path, need)]
    if closed:
        raise UsageError("The results cannot be written here: permission denied.", where=str(closed[0]),
                         todo="Name another folder as --output, or make this one writable.")


def _refusal(what: str, folder: Path, obstacles: list[_Obstacle]) -> UsageError:
    shown = ", ".join(f"{one.name} ({one.why})" for one in obstacles[:SHOWN])
    more = " and more" if len(obstacles) > SHOWN else ""
    todo = "Name another --output" + (
        "; --overwrite replaces these." if all(one.ours for one in obstacles) else
        ", or move these away. Nothing that a pocket command did not write is ever replaced.")
    return UsageError(f"These {what}: {shown}{more}.", where=str(folder.absolute()), todo=todo)


def _spoken(command: str) -> str:
    return "a Python program" if command == "python" else f"pocket-{command}"
