"""Find the group of each case, such as its patient, and the value that splits are stratified by.

Both come from columns of the dataset's own table (`dataset.csv`, `participants.tsv` ...), or of `groups.csv` or
`cases.csv` beside the images, which has a column `case`. The group may also be a part of the case's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import UsageError
from ..text import counted, some
from . import rows as tables
from .folder import Case, Problem
from .presets import unknown

TABLES = ("groups.csv", "cases.csv")
"""Tables of groups, in any layout; the first one that exists is used."""
CASE = "case"
COLUMNS = ("participant_id", "patient", "patient_id", "subject", "subject_id", "group", "site")
"""Columns with the group of a case, in upper or lower case; the first one that exists is used."""
NONE = "none"
MISSING = ("", "n/a")
"""Values of cells that stand for a missing value; `n/a` is used in BIDS."""


@dataclass(frozen=True)
class Grouped:
    """The cases with their groups and strata.

    Attributes:
        cases: The cases.
        source: The column or pattern of the groups; empty without groups.
        problems: Cases without a group or stratum, and faults of the table.
        warnings: Unusual findings that may be intended.
    """

    cases: list[Case]
    source: str = ""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def assign(folder: Path, cases: Sequence[Case], group: str | None, stratify: str | None) -> Grouped:
    """Give each case its group and its stratum.

    Args:
        folder: The dataset's folder.
        cases: The cases, with the columns of the dataset's own table.
        group: A column; a pattern of the case's name with the group in parentheses; `none`, so that each case is its
            own group; or None for the first of `COLUMNS`.
        stratify: A column; None: not stratified.

    Raises:
        UsageError: The pattern is not a regular expression with one group, or there is no such column.
    """
    out = Grouped(list(cases))
    pattern = _pattern(group) if group and "(" in group else None
    table, rows = _beside(folder, cases, out)
    rows = {case.name: {**rows.get(case.name, {}), **_named(case.columns)} for case in cases}
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    for name, option in ((None if pattern or group == NONE else group, "--group"), (stratify, "--stratify")):
        if name and name.lower() not in columns:
            raise unknown("column", name, columns, option=option, todo="A pattern has the group in parentheses: "
                          r"--group '(patient\d+)_'." if option == "--group" else "")
    column = None if pattern or group == NONE else group or next((name for name in COLUMNS if name in columns), None)
    found = _by_pattern(cases, pattern, out) if pattern else _by_column(cases, rows, column, table, out)
    strata = {name: row.get(stratify.lower()) or "n/a" for name, row in rows.items()} if stratify else {}
    source = f"pattern {group}" if pattern else f"column {column}" if column else ""
    return replace(out, source=source, cases=[
        replace(case, group=found.get(case.name), stratum=strata.get(case.name)) for case in cases])


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UsageError(f"This is not a regular expression: {error}.", where=f"--group {text}",
                         todo=r"Write one with the group in parentheses, such as '(patient\d+)_'.") from None
    if pattern.groups != 1:
        raise UsageError(f"Expected one pair of parentheses around the group. Found: {pattern.groups}.",
                         where=f"--group {text}", todo="Write all other parentheses as (?:...).")
    return pattern


def _by_pattern(cases: Sequence[Case], pattern: re.Pattern[str], out: Grouped) -> dict[str, str]:
    """Return the group of each case, and report the cases that do not match the pattern."""
    found = {case.name: match[1] for case in cases if (match := pattern.search(case.name)) and match[1]}
    fault = f"its group is unknown: its name does not match --group {pattern.pattern}"
    out.problems.extend(Problem(case.name, "", fault) for case in cases if case.name not in found)
    return found


def _by_column(cases: Sequence[Case], rows: Mapping[str, Mapping[str, str]], column: str | None, table: str,
               out: Grouped) -> dict[str, str]:
    """Return the group of each case, and report the cases without one."""
    if not column:
        return {}
    found = {name: value for name, row in rows.items() if (value := row.get(column.lower(), "")) not in MISSING}
    unlisted = [case.name for case in cases if column.lower() not in rows[case.name]]
    out.problems.extend(Problem(name, table, f"missing: no row for this case, so its {column} is unknown")
                        for name in unlisted)
    empty = [case.name for case in cases if case.name not in found and case.name not in unlisted]
    if empty:
        out.warnings.append(f"column {column!r} is empty in {counted(len(empty), 'case')}, each of which "
                            f"forms its own group: {some(empty)}")
    return found


def _beside(folder: Path, cases: Sequence[Case], out: Grouped) -> tuple[str, dict[str, dict[str, str]]]:
    """Return the name of the table beside the images, and its rows by case; none without a table."""
    for table in TABLES:
        if not (folder / table).is_file():
            continue
        try:
            columns, lines = tables.read(folder / table)
        except ValueError as error:
            out.problems.append(Problem("", table, str(error)))
            return table, {}
        if lines and CASE not in map(str.lower, columns):
            if table != TABLES[0]:
                continue
            out.problems.append(Problem("", table, f"no column {CASE!r}. Columns: {', '.join(columns)}"))
            return table, {}
        found: dict[str, dict[str, str]] = {}
        for number, row in ((number, _named(row)) for number, row in lines):
            if row[CASE] in found:
                out.problems.append(Problem(row[CASE], table, f"line {number}: this case is listed twice"))
            found[row.pop(CASE)] = row
        others = sorted(found.keys() - {case.name for case in cases})
        if others:
            out.warnings.append(f"{table}: {counted(len(others), 'row')} without a labelled case: "
                                f"{some(others)}")
        return table, found
    return "", {}


def _named(row: Mapping[str, str]) -> dict[str, str]:
    """Return a row with its columns in lower case, and without spaces around names and values."""
    return {name.strip().lower(): value.strip() for name, value in row.items()}
