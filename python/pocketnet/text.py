"""Escape names for CSV, Markdown, figures and terminals, so that no format takes them for its own syntax.

Also strict JSON (RFC 8259 and 7493). Standard library only.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MARKDOWN = re.compile(r"[\\`*|~$@]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)
_HTML = re.compile(r"&|<(?=[A-Za-z/!?])")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
MOST_DIGITS = 4000
"""Maximum digits of a whole number in JSON; Python refuses to print longer ones."""


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number with its noun: "1 epoch", "1,000 steps", "2 slices are".

    Args:
        number: The number.
        one: What follows 1.
        several: What follows any other number; without it, `one` with an -s.
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first names of a list, and "…" if there are more."""
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def parse_json(data: bytes | str) -> Any:
    """Parse a JSON text.

    Args:
        data: The content of a file.

    Raises:
        ValueError: If it is not UTF-8 or not JSON, has duplicate keys, NaN, infinity or an endless number, or is nested
            too deeply.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_float, parse_int=_int)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def cell(value: Any) -> Any:
    """Return a value for a CSV field that no spreadsheet takes for a formula; `from_cell` is the inverse.

    Text that begins like a formula gets an apostrophe before it, which spreadsheets do not show. Numbers stay.
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def from_cell(text: str) -> str:
    """Return the text that `cell` has made a field of."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Format rows as CSV, each field by `cell`; None is an empty field."""
    return "".join(map(_line, [columns, *rows]))


def _line(fields: Sequence[Any]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow(map(cell, fields))  # so that a field with \r is quoted
    return out.getvalue()[:-2] + "\n"


def csv_rows(handle: TextIO) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file by column, as `csv_text` has written them.

    Raises:
        ValueError: If a row has more or fewer fields than the header, or a column appears twice.
    """
    reader = csv.reader(handle)
    columns = [from_cell(name) for name in next(reader, [])]
    if len(set(columns)) != len(columns):
        raise ValueError("a column appears twice")
    for row in reader:
        if row and len(row) != len(columns):
            raise ValueError(f"line {reader.line_num} has {len(row)} fields, expected {len(columns)}")
        if row:
            yield dict(zip(columns, map(from_cell, row), strict=True))


def by_column(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], digits: str = "%.6g") -> str:
    """Format rows that are dicts as CSV with these columns; missing values and NaN are empty fields.

    Args:
        columns: The columns.
        rows: The rows by column.
        digits: Format of floating-point numbers.
    """
    def field(value: Any) -> Any:
        return value if not isinstance(value, float) else digits % value if value == value else None

    return csv_text(columns, ([field(row.get(name)) for name in columns] for row in rows))


def markdown(text: str) -> str:
    """Return text that Markdown shows as it is, on one line: no emphasis, link, HTML, code or cell border."""
    escaped = _MARKDOWN.sub(lambda found: "\\" + found[0], " ".join(text.split()))
    return _HTML.sub(lambda found: "&lt;" if found[0] == "<" else "&amp;", escaped)


def drawn(text: str) -> str:
    """Return text that matplotlib draws as it is: a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def printable(text: str) -> str:
    """Return text for a terminal: control characters, and bytes of names that are not UTF-8, as escapes."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"the key {twice[:80]!r} appears twice in one object")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a whole number has {len(text)} digits")
    return int(text)
