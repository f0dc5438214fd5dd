"""Tables as LaTeX (booktabs), ready to paste into a paper."""

from __future__ import annotations

from collections.abc import Sequence

_SIGNS = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
          "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "–": "--",
          "<": "$<$", ">": "$>$", "×": r"$\times$", "\u202f": r"\,"}


def escape(text: str) -> str:
    """Text with LaTeX's special characters, and the signs that our tables use, written for LaTeX."""
    return "".join(_SIGNS.get(sign, sign) for sign in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: int, caption: str) -> str:
    """A `table*` with rules of the package booktabs, scaled to the text's width (graphicx).

    Args:
        header: A name a column.
        rows: Cells as people read them.
        numeric: Columns from this one on are right-aligned.
        caption: Above the table.
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
