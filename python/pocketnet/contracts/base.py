"""Base classes of the contracts: reading, validation and writing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from .. import files, text
from ..errors import DataError, UsageError
from .fields import ONE_LINE, ONE_LINE_MEANS

T = TypeVar("T")
C = TypeVar("C", bound="Contract")
R = TypeVar("R", bound="Record")

CONFIG = ConfigDict(extra="forbid", defer_build=True, validate_by_name=True, validate_by_alias=True)
PIECES = 10_000
"""Pieces of JSON that are written at a time; each is a value or a mark between values."""
MOST_PROBLEMS = 20
"""Maximum number of errors listed per file."""


@dataclass_transform(frozen_default=True, field_specifiers=(Field, field))
def record(cls: type[T]) -> type[T]:
    """Decorate a class as a frozen dataclass that pydantic validates; unknown keys are refused."""
    return cast(type[T], dataclass(frozen=True, config=CONFIG)(cls))


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field, field))
def keyword_record(cls: type[T]) -> type[T]:
    """Decorate a base class like `record`, with keyword-only fields so that subclasses can add required ones."""
    return cast(type[T], dataclass(frozen=True, kw_only=True, config=CONFIG)(cls))


class Record:
    """An object within a file, or a whole file."""

    @classmethod
    def from_json(cls: type[R], value: Any, where: str | Path | None = None, what: str | None = None) -> R:
        """Validate a JSON value and return it as a record.

        Args:
            value: A value as returned by `json.loads`.
            where: File of the value, for the error message; None if it is not from a file.
            what: Expected kind of value, for the error message.

        Raises:
            DataError: If the value is invalid. Each error names its path, the value found and the value expected.
        """
        try:
            return adapter(cls).validate_python(value, by_alias=True, by_name=False)
        except ValidationError as error:
            found = list(dict.fromkeys(problems(error, value)))
        more = [f"and {len(found) - MOST_PROBLEMS} more"] if len(found) > MOST_PROBLEMS else []
        raise DataError(f"This is not a valid {what or cls.__name__}.", problems=found[:MOST_PROBLEMS] + more,
                        where=None if where is None else str(where),
                        todo="Create it again with the step that writes it.")

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return adapter(type(self)).dump_python(self, mode="json", by_alias=True)


class Contract(Record):
    """A file that steps exchange.

    Attributes:
        kind: Value of the file's key `kind`.
        schema_version: Value of the file's key `schema_version`. It increases when older files become unreadable.
        writer: The command `pocket-<writer>` writes this kind of file; None if several commands do.
    """

    kind: ClassVar[str]
    schema_version: ClassVar[int] = 1
    writer: ClassVar[str | None] = None

    @classmethod
    def parse(cls: type[C], value: Any, where: str | Path) -> C:
        """Validate the JSON value of a file, including its header; raises the same errors as `from_json`."""
        what = f"{cls.kind} (schema_version {cls.schema_version})"
        if isinstance(value, dict):
            header = {"kind": cls.kind, "schema_version": cls.schema_version}
            wrong = [f"{name}: found {_shown(value[name]) if name in value else 'nothing'}, expected {expected!r}"
                     for name, expected in header.items()
                     if type(value.get(name)) is not type(expected) or value[name] != expected]
            if wrong:
                raise DataError(f"This is not a valid {what}.", problems=wrong, where=str(where),
                                todo="Create it again with the step that writes it.")
            value = {name: item for name, item in value.items() if name not in header}
        return cls.from_json(value, where, what)

    @classmethod
    def read(cls: type[C], path: str | Path) -> C:
        """Read and validate a file.

        Raises:
            UsageError: If the file does not exist or is a folder.
            DataError: If the file is not JSON or not valid.
        """
        return cls.parse(load(path, cls.kind, cls.writer), path)

    def write(self, path: str | Path) -> None:
        """Write the file atomically."""
        encoder = json.JSONEncoder(indent=1, allow_nan=False)
        with files.atomic(path, self.kind) as temporary, open(temporary, "w", encoding="ascii") as handle:
            # In pieces: the text of a large file takes many times its size while it is put together.
            pieces = encoder.iterencode(self.to_file())
            while part := "".join(islice(pieces, PIECES)):
                handle.write(part)
            handle.write("\n")

    def to_file(self) -> dict[str, Any]:
        """Return the file's JSON object: the header and `to_json`."""
        return {"schema_version": self.schema_version, "kind": self.kind, **self.to_json()}


def load(path: str | Path, what: str, writer: str | None = None) -> Any:
    """Read a file as strict JSON.

    Args:
        path: The file.
        what: Expected kind of file, for the error message.
        writer: The command `pocket-<writer>` writes the file; for the error message.

    Raises:
        UsageError: If the file does not exist or is a folder.
        DataError: If the file is not JSON.
    """
    try:
        data = files.content(path)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"There is no {what} here.", where=str(path),
                         todo=f"pocket-{writer} writes it." if writer else None) from None
    except IsADirectoryError:
        raise UsageError(f"This is a folder, not a {what}.", where=str(path),
                         todo="Name the file in it.") from None
    except files.NotOrdinary as error:
        raise DataError(f"This {what} cannot be read: {error.strerror}.", where=str(path)) from None
    try:
        return text.parse_json(data)
    except ValueError as error:
        raise DataError(f"This {what} is not JSON: {error}", where=str(path)) from None


def adapter(cls: type[T]) -> TypeAdapter[T]:
    """Return the pydantic adapter that validates and serialises a class; cached."""
    return _adapter(cls)  # type: ignore[arg-type]  # mypy does not accept every class as hashable


@cache
def _adapter(cls: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(cls)


def problems(error: ValidationError, value: Any) -> Iterator[str]:
    """Yield a line per validation error: its path, the value found and the value expected."""
    for fault in error.errors(include_url=False, include_context=False):
        path, found = _locate(fault["loc"], value)
        if fault["type"] in ("missing", "missing_argument"):
            yield f"{'.'.join([*path, str(fault['loc'][-1])])}: it is missing"
        elif fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            yield f"{'.'.join(path)}: there is no such key here"
        else:
            yield f"{'.'.join(path) or 'the whole file'}: found {_shown(found)}, expected {_expected(fault)}"


def _locate(location: tuple[int | str, ...], value: Any) -> tuple[list[str], Any]:
    """Return the path of an error and the value there, without the names that pydantic inserts for union members."""
    path = []
    for part in location:
        if isinstance(value, dict) and part in value or (
                isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)):
            path.append(str(part)[:80])
            value = value[part]  # type: ignore[index]  # checked above
    return path, value


def _expected(fault: Any) -> str:
    message = str(fault["msg"])
    if fault["type"] == "string_pattern_mismatch" and ONE_LINE in message:
        return ONE_LINE_MEANS
    for start in ("Input should be ", "Value error, "):
        message = message.removeprefix(start)
    if fault["type"] == "dataclass_type":
        return "an object"
    message = message.replace("Tuple should have", "a list of").replace(" after validation, not", ", not")
    return message.replace("a valid tuple", "a list").replace("a valid dictionary", "an object")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple) and len(value) > 4:
        return f"a list of {len(value)}"
    try:
        shown = json.dumps(value, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        return f"a value of type {type(value).__name__}"
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
