"""Read which labels are annotated in each case: from `annotated.csv`, or from a column of the dataset's table.

`annotated.csv` has the columns `case` and `annotated`; the latter lists the annotated labels, separated by semicolons.
Cases that it does not list have all labels annotated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from . import rows as tables
from .folder import Case, Listing, Problem

FILE = "annotated.csv"
CASE, COLUMN = "case", "annotated"


def names(text: str) -> tuple[str, ...] | None:
    """Return the names in a cell, each once; None if it is empty."""
    found = dict.fromkeys(name.strip() for name in text.split(";"))
    return tuple(name for name in found if name) or None


def add(folder: Path, listing: Listing) -> Listing:
    """Return a listing with the annotated labels from the folder's `annotated.csv`, if there is one."""
    if not (folder / FILE).exists():
        return listing
    try:
        lists = _read(folder / FILE)
    except ValueError as error:
        return replace(listing, problems=[*listing.problems, Problem("", FILE, str(error))])
    known = {case.name for case in listing.cases}
    problems = [Problem(name, FILE, "there is no such case") for name in lists if name not in known]
    cases = [replace(case, annotated=lists.get(case.name, case.annotated)) for case in listing.cases]
    return replace(listing, cases=cases, problems=[*listing.problems, *problems])


def _read(path: Path) -> dict[str, tuple[str, ...] | None]:
    """Return the annotated labels by case.

    Raises:
        ValueError: The table cannot be read, a column is missing, or a case is listed twice or without a label.
    """
    lists: dict[str, tuple[str, ...] | None] = {}
    columns, lines = tables.read(path)
    if lacking := [name for name in (CASE, COLUMN) if name not in columns]:
        raise ValueError(f"no column {lacking[0]!r}. Columns: {', '.join(columns)}")
    for number, row in lines:
        case = row[CASE]
        if not case or case in lists:
            raise ValueError(f"line {number}: " + (f"{case} is listed twice" if case else "no case name"))
        lists[case] = names(row[COLUMN])
        if lists[case] is None:
            raise ValueError(f"line {number}: {case} has no annotated label; remove its row if all are annotated")
    return lists


def problems(cases: Sequence[Case], classes: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem for each list with an unknown label, and for each label that is annotated in no case."""
    for case in cases:
        if unknown := [name for name in case.annotated or () if name not in classes]:
            yield Problem(case.name, "", f"annotated: there is no label {unknown[0]!r}; known: {', '.join(classes)}")
    for name in classes:
        if cases and all(case.annotated and name not in case.annotated for case in cases):
            yield Problem("", "", f"label {name!r} is annotated in no case")


def incomplete(case: Case, classes: Sequence[str]) -> tuple[str, ...] | None:
    """Return the names of a case's annotated labels in the order of the classes; None if all are annotated."""
    found = tuple(name for name in classes if case.annotated is None or name in case.annotated)
    return None if len(found) == len(classes) else found
