"""The table of cases: one row per case, with the score and a thumbnail under each network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tracking.records import Evaluation

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 1000
MOST_BYTES = 3_000_000
"""Maximum bytes of all thumbnails of a page, before Base64 makes them a third larger."""
SEARCHABLE = 30
"""With more cases, the table has a search field."""
COLUMNS = ("case", "fold", "arch", "width", "score", "text")
"""Columns of the scores: one row per case and network; `score` is NaN if undefined, `text` is shown."""


def gallery(scores: pd.DataFrame, evaluations: Sequence[Evaluation],
            networks: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Compute the table's rows, lowest mean score first; cases without a score come last.

    Args:
        scores: Columns `COLUMNS`.
        evaluations: Evaluations with their thumbnails.
        networks: (arch, width) from left to right.

    Returns:
        `rows`, each with `case`, `fold` and a cell (score, text, picture as a data URI) per network; `left_out` and
        `without`: how many rows are omitted, and how many cells with a thumbnail are shown without it because of
        `MOST_BYTES`; `searchable`; and `drawn`: whether there is any picture.
    """
    scores = scores.drop_duplicates(["case", "fold", "arch", "width"], keep="last")
    order = scores.groupby(["fold", "case"])["score"].mean().reset_index().sort_values(
        ["score", "case", "fold"], na_position="last")
    found = {(row.fold, row.case, row.arch, row.width): row for row in scores.itertuples()}
    pictures = _Pictures(evaluations)
    rows = []
    for key in order.head(MOST_ROWS).itertuples():
        cells = []
        for network in networks:
            one = found.get((key.fold, key.case, *network))
            cells.append((None, "–", None) if one is None else (
                None if one.score != one.score else float(one.score), one.text,
                pictures.of(key.fold, key.case, *network)))
        rows.append({"case": key.case, "fold": key.fold, "cells": cells})
    return {"rows": rows, "left_out": len(order) - len(rows), "without": pictures.without,
            "searchable": len(rows) > SEARCHABLE, "drawn": any(cell[2] for row in rows for cell in row["cells"])}


class _Pictures:
    """Data URIs of thumbnails, at most `MOST_BYTES` of them."""

    def __init__(self, evaluations: Sequence[Evaluation]) -> None:
        self.left, self.without = MOST_BYTES, 0
        self.paths: dict[tuple[Any, ...], Path] = {
            (one.rows["fold"].iloc[0], case, one.rows["arch"].iloc[0], one.rows["width"].iloc[0]): path
            for one in evaluations for case, path in one.thumbnails.items()}

    def of(self, *key: Any) -> str | None:
        path = self.paths.get(key)
        if path is None or not path.is_file():
            return None
        if path.stat().st_size > self.left:
            self.without += 1
            return None
        data = path.read_bytes()
        self.left -= len(data)
        return f"data:image/webp;base64,{base64.b64encode(data).decode('ascii')}"
