"""Format tables in LaTeX (booktabs), ready to paste into a paper."""

from __future__ import annotations

from collections.abc import Sequence

_SIGNS = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
          "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "–": "--",
          "<": "$<$", ">": "$>$", "×": r"$\times$", "\u202f": r"\,"}


def escape(text: str) -> str:
    """Escape LaTeX's special characters and convert the symbols used in the tables."""
    return "".join(_SIGNS.get(sign, sign) for sign in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: int, caption: str) -> str:
    """Return a `table*` with booktabs rules, scaled to the text width (graphicx).

    Args:
        header: Column names.
        rows: Cells as text.
        numeric: Index of the first right-aligned column.
        caption: Text above the table.
    """
    columns = "l" * numeric + "r" * (len(header) - numeric)
    lines = ["\\begin{table*}", "\\centering", f"\\caption{{{escape(caption)}}}", "\\resizebox{\\textwidth}{!}{%",
             f"\\begin{{tabular}}{{{columns}}}", "\\toprule", _row(header), "\\midrule"]
    for before, row in zip([None, *rows], rows, strict=False):
        if before is not None and before[0] != row[0]:
            lines.append("\\addlinespace")
        lines.append(_row(row))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}}", "\\end{table*}"])


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"
