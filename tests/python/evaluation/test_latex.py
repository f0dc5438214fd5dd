"""LaTeX of tables: what TeX would trip over is escaped, and every row has its columns."""

import pytest
from pocketnet.evaluation import latex


@pytest.mark.parametrize("text, expected", [
    ("grey_matter", r"grey\_matter"), ("95 %", r"95 \%"), ("A & B", r"A \& B"), ("−0.1 ± 0.2", r"$-$0.1 $\pm$ 0.2"),
    ("<0.001", "$<$0.001"), ("–", "--"), ("a\\b", r"a\textbackslash{}b"), ("Ödem", "Ödem")])
def test_escape(text, expected):
    assert latex.escape(text) == expected


def test_every_row_has_its_columns_and_groups_are_set_apart():
    text = latex.table(["Label", "Width", "Dice"], [["A", "full", "0.9"], ["A", "pocket", "0.8"], ["B", "full", "1"]],
                       2, "A caption")
    lines = text.splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 4 and all(row.count("&") == 2 for row in rows)
    assert r"\begin{tabular}{llr}" in text and r"\caption{A caption}" in text
    assert lines.index(r"\addlinespace") == lines.index(r"A & pocket & 0.8 \\") + 1
    assert text.count(r"\addlinespace") == 1
