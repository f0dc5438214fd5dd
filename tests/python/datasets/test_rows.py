"""One reader for the tables of all layouts: what it takes, what it says, and the line that it names."""

import pytest
from pocketnet.datasets import annotated, bids, rows, table
from pocketnet.datasets.folder import Case, Listing
from pocketnet.datasets.groups import assign
from pocketnet.datasets.presets import load


@pytest.mark.parametrize(("content", "separator", "columns", "lines"), [
    ("case, patient ,\np1, a ,x\n", ",", ["case", "patient", ""], [(2, {"case": "p1", "patient": "a"})]),
    ("\ufeffcase\tage\np1\t 3\n", "\t", ["case", "age"], [(2, {"case": "p1", "age": "3"})]),
    ("case,age\n\np1\n\np2,4,5\n", ",", ["case", "age"], [(3, {"case": "p1", "age": ""}),
                                                         (5, {"case": "p2", "age": "4"})]),
    ('case,note\np1,"two\nlines"\np2,one\n', ",", ["case", "note"], [(3, {"case": "p1", "note": "two\nlines"}),
                                                                    (4, {"case": "p2", "note": "one"})]),
    ("", ",", [], [])])
def test_a_table_is_text_by_column(tmp_path, content, separator, columns, lines):
    (tmp_path / "a.csv").write_text(content)
    assert rows.read(tmp_path / "a.csv", separator) == (columns, lines)


@pytest.mark.parametrize(("content", "separator", "said"), [
    (b"\xff\xfe\n", ",", "cannot be read as CSV: 'utf-8' codec"), (b"a\tb\n\xff", "\t", "cannot be read as TSV"),
    (b"a,b\n" + b"x" * 200_000, ",", "cannot be read as CSV: field larger"),
    (None, ",", "cannot be read: Is a directory")])
def test_what_is_no_table_is_said(tmp_path, content, separator, said):
    path = tmp_path / "a.csv"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        rows.read(path, separator)


def test_every_layout_names_the_line_of_the_file(tmp_path):
    """A row without values is no row, but it is a line."""
    text = "case,label,t1,annotated\n\np1,,a.nii,liver\n\np1,,a.nii,liver\n"
    (tmp_path / "dataset.csv").write_text(text)
    listing = table.scan(tmp_path, load("csv"), ())
    (tmp_path / "annotated.csv").write_text(text)
    (tmp_path / "groups.csv").write_text(text)
    found = [*listing.problems, *annotated.add(tmp_path, Listing((), None, [])).problems,
             *assign(tmp_path, [Case("p1", {}, None)], "none", None).problems]
    assert [(one.file, one.problem.split(":")[0]) for one in found if one.problem.startswith("line")] == [
        ("dataset.csv", "line 5"), ("annotated.csv", "line 5"), ("groups.csv", "line 5")]


def test_columns_of_participants_have_no_spaces_around_them(tmp_path):
    problems = []
    (tmp_path / bids.PARTICIPANTS).write_text("participant_id \tsex\nsub-1\tF \n")
    assert bids._participants(tmp_path, problems) == {"sub-1": {"participant_id": "sub-1", "sex": "F"}}
    assert not problems
