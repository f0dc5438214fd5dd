"""`metrics.csv`: a row a case and label. Written by `pocket-evaluate`, read by every step after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, UsageError
from ..files import atomic

if TYPE_CHECKING:
    import pandas as pd

TEXT = ("dataset", "case", "arch", "width", "recipe", "label", "code", "run_key")
WHOLE = ("fold", "seed", "parameters")
LATER = ("hd95_voxels_mm", "asd_voxels_mm")
"""Columns that a table written by an earlier version lacks: read as undefined."""
NUMBERS = ("dice", "hd95_mm", "asd_mm", "reference_ml", "predicted_ml", *LATER)
COLUMNS = ("dataset", "case", "fold", "arch", "width", "recipe", "seed", "label", "dice", "hd95_mm", "asd_mm",
           "reference_ml", "predicted_ml", "parameters", "code", "run_key", *LATER)


def write(path: str | Path, rows: pd.DataFrame) -> None:
    """Write rows with the columns of `metrics.csv`; NaN becomes an empty field."""
    with atomic(path) as temporary:
        rows[list(COLUMNS)].to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def read(path: str | Path) -> pd.DataFrame:
    """Read one `metrics.csv`.

    Raises:
        UsageError: The file is not there.
        DataError: It is not a table, has no rows, lacks columns, or has text where numbers belong.
    """
    import pandas as pd

    dtypes = dict.fromkeys(TEXT, str) | dict.fromkeys(WHOLE, "int64") | dict.fromkeys(NUMBERS, float)
    try:
        rows = pd.read_csv(path, dtype=dtypes, keep_default_na=False, na_values={name: [""] for name in NUMBERS})
    except FileNotFoundError:
        raise UsageError("There is no metrics table here.", where=str(path)) from None
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"This metrics table cannot be read: {str(error).splitlines()[0]}", where=str(path),
                        todo="Make it anew with pocket-evaluate.") from None
    for name in LATER:
        if name not in rows:
            rows[name] = float("nan")
    missing = [name for name in COLUMNS if name not in rows]
    if missing or rows.empty:
        raise DataError("This metrics table lacks " + (", ".join(missing) if missing else "rows") + ".",
                        where=str(path), todo="Make it anew with pocket-evaluate.")
    return rows[list(COLUMNS)]


def read_all(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Read several tables into one; the extra column `file` says where each row is from.

    Raises:
        UsageError: A file is not there.
        DataError: As for `read`.
    """
    import pandas as pd

    return pd.concat([read(path).assign(file=str(path)) for path in paths], ignore_index=True)
