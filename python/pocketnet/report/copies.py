"""Texts to copy from the page: the comparison's tables and the citation."""

from __future__ import annotations

from ..contracts.comparison import Comparison
from ..evaluation.layout import csv_text
from ..evaluation.tasks import Layout

BIBTEX = """@article{celaya2022pocketnet,
  title   = {PocketNet: A Smaller Neural Network For Medical Image Analysis},
  author  = {Celaya, Adrian and Actor, Jonas A. and Muthusivarajan, Rajarajesawari and Gates, Evan and Chung, Caroline
             and Schellingerhout, Dawid and Riviere, Beatrice and Fuentes, David},
  journal = {IEEE Transactions on Medical Imaging},
  year    = {2022},
  doi     = {10.1109/TMI.2022.3224873},
  eprint  = {2104.10745}
}"""


def tables(comparison: Comparison | None, layout: Layout) -> list[tuple[str, str]]:
    """Return the comparison's tables as (format, text); an empty list without a comparison.

    Args:
        comparison: The comparison; None without one.
        layout: The layout of the comparison's task.
    """
    if comparison is None:
        return []
    return [("CSV", csv_text(layout.csv_rows(comparison), layout.CSV_COLUMNS)),
            ("LaTeX", layout.latex(comparison)), ("Markdown", layout.markdown(comparison))]
