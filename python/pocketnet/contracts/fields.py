"""Field types: strict, bounded and finite.

Nothing is converted: "3" is not 3, true is not 1, and 3.0 is not a whole number. A number field accepts whole numbers
and keeps them whole. Whole numbers are limited to ±2⁵³; other programs round larger ones (RFC 7493).
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

LARGEST = 2**53
"""Largest absolute value of whole numbers."""
DEEPEST = 32
"""Maximum nesting of a value whose structure no contract describes."""
MOST_BYTES = 255 - len(".part-4194304-worst_.nii.gz")
"""Maximum bytes of a case's name: 255 (the file system's limit) minus the longest prefix and suffix of a file name."""
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"
ONE_LINE = rf"^[^\s{_UNSEEN}]([^{_UNSEEN}]*[^\s{_UNSEEN}])?$"
"""Pattern of `Text`."""
ONE_LINE_MEANS = ("one line of text: no control characters, no characters that turn the writing direction, and no "
                  "space at its ends")
MOST_CHARACTERS = 255
"""Maximum characters of `Text`."""
_PATH = r"^[^\x00-\x1f\x7f]+$"
T = TypeVar("T")


class Bounds:
    """Annotation for a strict, finite number with optional bounds `gt`, `ge`, `lt` and `le`."""

    _SIGNS = {"gt": (">", "exclusiveMinimum"), "ge": ("at least", "minimum"),
              "lt": ("<", "exclusiveMaximum"), "le": ("at most", "maximum")}

    def __init__(self, **bounds: float) -> None:
        self.bounds: dict[str, Any] = bounds

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        whole: dict[str, Any] = {"ge": -LARGEST, "le": LARGEST} | self.bounds
        expected = " ".join(["a finite number", *(f"{self._SIGNS[name][0]} {value:g}"
                                                  for name, value in self.bounds.items())])
        return core_schema.union_schema(
            [core_schema.int_schema(strict=True, **whole),
             core_schema.float_schema(strict=True, allow_inf_nan=False, **self.bounds)],
            mode="left_to_right", custom_error_type="number", custom_error_message=expected)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "number", **{self._SIGNS[name][1]: value for name, value in self.bounds.items()}}


def _distinct(values: Sequence[Hashable]) -> Sequence[Hashable]:
    if len(set(values)) != len(values):
        twice = next(value for index, value in enumerate(values) if value in values[:index])
        raise ValueError(f"different entries, but {str(twice)[:80]!r} appears twice")
    return values


class Distinct:
    """Annotation for a tuple without duplicates."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_distinct, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}


def _shallow(value: Any) -> Any:
    """Check a JSON value of open structure, level by level; return it unchanged."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                if not all(isinstance(key, str) for key in item):
                    raise ValueError("keys that are text")
                below += item.values()
            elif isinstance(item, list | tuple):
                below += item
            elif isinstance(item, float) and not math.isfinite(item):
                raise ValueError("finite numbers")
            elif isinstance(item, int) and abs(item) > LARGEST:
                raise ValueError(f"whole numbers of at most {LARGEST}")
            elif isinstance(item, str) and not item.isascii():
                _encodable(item)
            elif item is not None and not isinstance(item, str | int | float):
                raise ValueError("JSON values")
        if not below:
            return value
        level = below
    raise ValueError(f"at most {DEEPEST} levels of nesting")


def _plain_name(name: str) -> str:
    """Check that a name can be used for files and folders; return it unchanged."""
    if not name or name[0] in "-." or name[0].isspace() or any(
            character in "/\\" or ord(character) < 32 or ord(character) == 127 for character in name):
        raise ValueError("one plain file name: no /, \\ or control character in it, and no dot, hyphen or space at its "
                         "start")
    if len(name.encode()) > MOST_BYTES:
        raise ValueError(f"a name of at most {MOST_BYTES} bytes")
    return name


def _inside(path: str) -> str:
    """Check that a path does not lead out of its folder; return it unchanged."""
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError("a path within the folder, without .. and no / at its start")
    return path


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text without lone surrogates") from None


def text_fault(text: str) -> str | None:
    """Return what a `Text` is expected to be if this is none; None if it is one."""
    if len(text) > MOST_CHARACTERS:
        return f"at most {MOST_CHARACTERS} characters"
    return None if re.fullmatch(ONE_LINE, text) and _sound(text) else ONE_LINE_MEANS


def path_fault(path: str) -> str | None:
    """Return what a `Path` is expected to be if this is none; None if it is one."""
    if not _sound(path):
        return "a name in UTF-8"
    try:
        _inside(path)
    except ValueError as error:
        return str(error)
    return None if re.fullmatch(_PATH, path) else "a name without control characters"


def _sound(text: str) -> bool:
    """Return whether a text has no lone surrogates, which stand for bytes of a name that is not UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _is_none(value: Any) -> bool:
    return value is None


def absent(**options: Any) -> Any:
    """Return a field for an optional key: None if missing; None is not written."""
    return Field(default=None, exclude_if=_is_none, **options)


Text = Annotated[str, Field(strict=True, min_length=1, max_length=MOST_CHARACTERS, pattern=ONE_LINE)]
"""Name or short text: one line without control characters and overrides of the writing direction."""
Prose = Annotated[str, Field(strict=True, min_length=1)]
"""Non-empty text for people."""
AnyText = Annotated[str, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True, ge=-LARGEST, le=LARGEST)]
"""Whole number."""
Count = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]
"""Whole number of at least 0."""
Positive = Annotated[int, Field(strict=True, ge=1, le=LARGEST)]
"""Whole number of at least 1."""
Number = Annotated[float, Bounds()]
"""Finite number."""
NotNegative = Annotated[float, Bounds(ge=0)]
AboveZero = Annotated[float, Bounds(gt=0)]
Share = Annotated[float, Bounds(ge=0, le=1)]
"""Number from 0 to 1."""
Pair = tuple[Number, Number]
Interval = tuple[Number, Number]
"""95 % confidence interval."""
Unique = Annotated[tuple[T, ...], Distinct()]
"""Tuple without duplicates."""
Shape = Annotated[tuple[Positive, ...], Field(min_length=2, max_length=3)]
"""Voxels per axis; two or three axes."""
Spacing = Annotated[tuple[AboveZero, ...], Field(min_length=2, max_length=3)]
"""Millimetres per axis; two or three axes."""
SHA256 = Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 checksum of a file, hexadecimal."""
Undescribed = Annotated[dict[str, Any], AfterValidator(_shallow)]
"""Object with any keys."""
Percentage = Annotated[float, Bounds(ge=0, le=100)]
Path = Annotated[str, Field(strict=True, min_length=1, pattern=_PATH), AfterValidator(_inside)]
"""Path of a file within a folder, without control characters and `..`."""
CaseName = Annotated[str, Field(strict=True, json_schema_extra={
    "pattern": r"^(?![-.\s])[^/\\\u0000-\u001f\u007f]+$", "maxLength": MOST_BYTES}),
    AfterValidator(_plain_name)]
"""Name of a case: a plain file name."""
