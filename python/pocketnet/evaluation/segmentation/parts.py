"""Join evaluations of parts of the cases, as `pocket-evaluate --part` has written them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import files
from ...contracts.groups import alone, together
from ...contracts.manifest import Case, Manifest
from ...contracts.provenance import Provenance
from ...errors import DataError, UsageError
from ...text import csv_rows
from .. import calibration, table

if TYPE_CHECKING:
    import pandas as pd

CALIBRATION = "calibration.csv"


def read(folders: Sequence[Path], run: Provenance, wanted: Iterable[str]
         ) -> tuple[dict[str, pd.DataFrame], list[dict[str, Any]]]:
    """Read the evaluations in folders.

    Args:
        folders: Folders with `metrics.csv`, and `calibration.csv` if there are probability maps.
        run: Provenance of the model.
        wanted: Names of the cases to evaluate.

    Returns:
        The rows of `metrics.csv` by case, and those of `calibration.csv`.

    Raises:
        UsageError: A folder has no evaluation, or one of another model or of other cases; or two have the same case.
        DataError: A table is invalid.
    """
    found: dict[str, pd.DataFrame] = {}
    calibrated: list[dict[str, Any]] = []
    names, expected = set(wanted), table.of_run(run)
    for folder in folders:
        rows = table.read(folder / "metrics.csv")
        others = [name for name in ("dataset", "fold", "arch", "width", "run_key")
                  if set(rows[name]) != {expected[name]}]
        if others:
            raise UsageError("This is an evaluation of another model: other " + ", ".join(others) + ".",
                             where=str(folder), todo="Evaluate this model's predictions with --part.")
        for case, of_case in rows.groupby("case", sort=False):
            if case in found or case not in names:
                raise UsageError(f"The case {case} is " + ("evaluated twice." if case in found else
                                                           "not in the manifest."), where=str(folder))
            found[str(case)] = of_case
        calibrated += _calibration(folder / CALIBRATION)
    return found, calibrated


def _calibration(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        with files.open_table(path) as handle:
            return [{"case": row["case"], "label": row["label"], "voxels": int(row["voxels"]),
                     **{name: float(row[name] or "nan") for name in calibration.COLUMNS[3:]}}
                    for row in csv_rows(handle)]
    except (ValueError, KeyError, files.NotOrdinary) as error:
        raise DataError(f"This table cannot be read: {error}", where=str(path),
                        todo="Create it again with pocket-evaluate.") from None


def whole(listing: Manifest, labelled: Mapping[str, Case], earlier: Mapping[str, pd.DataFrame], rows: pd.DataFrame
          ) -> pd.DataFrame:
    """Return the rows of all cases in the manifest's order, with the groups of all of the manifest's cases.

    Args:
        listing: The manifest.
        labelled: The cases to evaluate, by name.
        earlier: Rows by case that `read` has returned.
        rows: Rows of the other cases; empty if there are none.
    """
    import pandas as pd

    joined = rows
    if earlier:
        others = {str(case): some for case, some in rows.groupby("case", sort=False)} if len(rows) else {}
        joined = pd.concat([(others if name in others else earlier)[name] for name in labelled], ignore_index=True)
    groups = together(listing.cases)
    return joined.assign(group=[None if groups[name] == alone(name) else groups[name] for name in joined["case"]])
