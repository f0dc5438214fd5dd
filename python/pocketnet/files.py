"""Files between the steps: written whole or not at all, JSON checked against its schema, checksums."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from . import outputs
from .errors import DataError, UsageError
from .outputs import sha256

SCHEMAS = Path(__file__).parent / "schemas"
WRITERS = {"manifest": "check", "fingerprint": "check", "plan": "plan", "splits": "plan", "profile": "profile",
           "comparison": "compare", "overlays": "evaluate", "classification": "evaluate", "activations": "activations"}
"""The command `pocket-<name>` that writes a file of this kind; of the other kinds it is in doubt."""


@contextmanager
def atomic(path: str | Path, kind: str | None = None, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends without an error.

    The temporary name keeps the suffixes of `path`, so that writers that go by the suffix work. Nothing
    is left behind when the block raises, and a reader never sees half a file.

    Args:
        kind: Of JSON with a schema.
        private: The folder is the program's own: what is there is replaced, and no marker is left.

    Raises:
        UsageError: There is a file that may not be replaced (`outputs`).
    """
    path = Path(path)
    private = private or outputs.is_private(path)
    if not private:
        outputs.check_files({path: kind})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{outputs.PART}{os.getpid()}-{path.name[-50:]}")
    try:
        yield temporary
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        if not private:
            outputs.check_files({path: kind})  # again: something may have come
            outputs.record(path.parent, {path.name: sha256(temporary)})
        os.replace(temporary, path)
    except OSError as error:
        _name(error, path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` when the block ends without an error.

    Where `path` is a folder already, what was written takes the place of what its marker lists.

    Raises:
        UsageError: In `path` lies what may not be replaced (`outputs`).
    """
    path, given = Path(path).resolve(), Path(path)
    outputs.check_folder(path)
    beside = path if path.is_dir() else path.parent  # within one that is there, which may be a mount
    try:
        beside.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{outputs.PART}{path.name[:50]}-", dir=beside))
    except OSError as error:
        _name(error, given)
        raise
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        checksums = {one.relative_to(temporary).as_posix(): sha256(one)
                     for one in sorted(temporary.rglob("*")) if one.is_file()}
        outputs.record(temporary, checksums)
        if temporary.parent == path or not _became(temporary, path):
            outputs.check_folder(path)  # again: something may have come
            outputs.record(path, checksums)
            outputs.clear(path)
            for one in sorted(temporary.iterdir(), key=_when_to_move):
                os.replace(one, path / one.name)
    except OSError as error:
        _name(error, given)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _when_to_move(path: Path) -> tuple[bool, int]:
    """As they were written, because the last ones say that the others are whole; the marker at the end."""
    return path.name == outputs.MARKER, path.stat().st_mtime_ns


def _became(temporary: Path, path: Path) -> bool:
    """Give a folder its name; False where there is a folder with something in it."""
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _name(error: OSError, path: Path) -> None:
    """Put what was to be written into an error that does not say it, as that of a full disk."""
    if error.filename is None and error.errno is not None:
        error.filename = str(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str, kind: str | None = None) -> None:
    """Write `text` whole or not at all; raises as `atomic`."""
    with atomic(path, kind) as temporary:
        temporary.write_text(text, encoding="utf-8")


def digest(value: Any) -> str:
    """Checksum of a JSON value, independent of the order of its keys (16 hexadecimal digits)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def schema(kind: str) -> dict:
    """The JSON Schema of a file kind, for example `manifest`."""
    return json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))


def validate(value: Any, kind: str, where: str | Path) -> None:
    """Check a JSON value against the schema of its kind.

    Raises:
        DataError: Names the file and every place that does not validate.
    """
    _validate(value, _validator(kind), kind, where)


def validate_part(value: Any, kind: str, part: str, where: str | Path) -> None:
    """Check one section of a file, for a step that depends on no other; raises as `validate` does."""
    _validate(value, _validator(kind, part), kind, where)


@cache
def _validator(kind: str, part: str | None = None):
    """What checks a file kind, or one section of it."""
    return _validator_class()(schema(kind)["properties"][part] if part else schema(kind))


@cache
def _validator_class():
    """The validator of our schemas' draft, which doesn't look at a list of plain numbers one by one: that took
    nearly all of the time to open a store."""
    import jsonschema

    thorough = jsonschema.Draft202012Validator

    def items(validator, rules, value, parent):
        if not (isinstance(value, list) and all(_surely_valid(item, rules) for item in value)):
            yield from thorough.VALIDATORS["items"](validator, rules, value, parent)

    return jsonschema.validators.extend(thorough, {"items": items})


def _surely_valid(value: Any, rules: Any) -> bool:
    """Whether a number, or lists of numbers, keeps its rules; False also where that needs a closer look."""
    if not isinstance(rules, dict) or rules.keys() - {"type", "minimum", "items", "minItems", "maxItems"}:
        return False
    if rules.get("type") == "array":
        return (type(value) is list and rules.get("minItems", 0) <= len(value) <= rules.get("maxItems", len(value))
                and all(_surely_valid(item, rules.get("items")) for item in value))
    kinds = {"integer": (int,), "number": (int, float)}.get(rules.get("type"), ())
    return type(value) in kinds and value >= rules.get("minimum", value)


def _validate(value: Any, validator, kind: str, where: str | Path) -> None:
    problems = [
        f"{'.'.join(map(str, error.absolute_path)) or 'the whole file'}: {_said(error)[:300]}"
        for error in sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))
    ]
    if problems:
        raise DataError(f"This is not a valid {kind} (schema_version {schema(kind)['x-version']}).",
                        problems=problems, where=str(where), todo="Make it anew with the step that writes it.")


def _said(error) -> str:
    """What does not validate; of a text that fits no pattern, what is expected in words."""
    if error.validator == "pattern" and "description" in error.schema:
        return f"{error.instance!r} is not {error.schema['description']}"
    return error.message


def write_json(path: str | Path, value: Any, kind: str) -> None:
    """Validate `value` as `kind` and write it whole or not at all; `schema_version` and `kind` are added."""
    value = {"schema_version": schema(kind)["x-version"], "kind": kind, **value}
    validate(value, kind, path)
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n", kind)


def read_json(path: str | Path, kind: str) -> dict:
    """Read and validate a JSON file.

    Raises:
        UsageError: The file is not there.
        DataError: It is not JSON, or does not validate as `kind`.
    """
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"There is no {kind} here.", where=str(path),
                         todo=f"pocket-{WRITERS[kind]} writes it." if kind in WRITERS else None) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"This {kind} is not JSON: {error}", where=str(path)) from None
    validate(value, kind, path)
    return value
