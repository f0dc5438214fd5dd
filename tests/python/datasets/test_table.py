"""`dataset.csv`: any images, listed."""

from __future__ import annotations

import pytest
from made import touch
from pocketnet.datasets import layouts, presets
from pocketnet.errors import UsageError

HEADER = "case,T1,T2,label,split"


def scan(folder, *rows, header=HEADER, wanted=()):
    touch(folder, "x/a1.nii", "x/a2.nii", "a.nii.gz", "x/b1.nii", "x/b2.nii", "b.nii.gz")
    (folder / "dataset.csv").write_text("\n".join((header, *rows)) + "\n", encoding="utf-8-sig")
    return layouts.scan(folder, presets.load("csv"), wanted)


GOOD = ("a,x/a1.nii,x/a2.nii,a.nii.gz,test", "b,x/b1.nii,x/b2.nii,b.nii.gz,", "c,x/a1.nii,x/a2.nii,,train")


def test_a_table(tmp_path):
    listing = scan(tmp_path, *GOOD)
    assert listing.modalities == ("T1", "T2") and listing.test == ("a",)
    assert [(c.name, list(c.images.values()), c.label) for c in listing.cases] == [
        ("a", ["x/a1.nii", "x/a2.nii"], "a.nii.gz"), ("b", ["x/b1.nii", "x/b2.nii"], "b.nii.gz"),
        ("c", ["x/a1.nii", "x/a2.nii"], None)]
    assert listing.problems == listing.missing_labels == []


def test_some_modalities_and_no_split(tmp_path):
    listing = scan(tmp_path, "a,x/a1.nii,nowhere,a.nii.gz", header="case,T1,T2,label", wanted=["T1"])
    assert listing.test is None and dict(listing.cases[0].images) == {"T1": "x/a1.nii"} and not listing.problems
    with pytest.raises(UsageError, match="no modality 'PD'"):
        scan(tmp_path, *GOOD, wanted=["PD"])


@pytest.mark.parametrize("row, expected", [
    ("a,x/a1.nii,x/no.nii,a.nii.gz,", [("a", "x/no.nii", "missing: dataset.csv lists it as 'T2'")]),
    ("a,x/a1.nii,,a.nii.gz,", [("a", "dataset.csv", "missing: column 'T2' is empty")]),
    ("a,x/a1.nii,../x.nii,a.nii.gz,", [("a", "../x.nii", "column 'T2': not a path in the table's folder")]),
    ("a,x/a1.nii,/x.nii,a.nii.gz,", [("a", "/x.nii", "column 'T2': not a path in the table's folder")]),
    ("a,x/a1.nii,x/a2.mha,a.nii.gz,", [("a", "x/a2.mha", "missing: dataset.csv lists it as 'T2'")]),
    ("a,x/a1.nii,x/a2.nii,a.gif,", [("a", "a.gif", "column 'label': not a")]),
    ("a,x/a1.nii,x/a2.nii,a.nii.gz,val", [("a", "dataset.csv", "line 3: split is 'val'")]),
    (",x/a1.nii,x/a2.nii,a.nii.gz,", [("", "dataset.csv", "line 3: no case name")]),
    ("b,x/a1.nii,x/a2.nii,a.nii.gz,", [("b", "dataset.csv", "line 3: duplicate name")]),
])
def test_a_bad_row_is_named(tmp_path, row, expected):
    listing = scan(tmp_path, GOOD[1], row)
    found = [(p.case, p.file, p.problem[:len(text)])
             for p, (_, _, text) in zip(listing.problems, expected, strict=True)]
    assert found == expected


def test_every_absent_image_and_label_is_named(tmp_path):
    listing = scan(tmp_path, "a,no1.nii,no2.nii,no3.nii,test", "b,no4.nii,x/b2.nii,b.nii.gz,")
    assert [p.file for p in listing.problems] == ["no1.nii", "no2.nii", "no4.nii"]
    assert [p.file for p in listing.missing_labels] == ["no3.nii"]


@pytest.mark.parametrize("header, said", [
    ("name,T1,label", "no column 'case'. Columns: name, T1, label"), ("case,T1,T1,label", "two columns 'T1'"),
    ("case,label,split", "no column with images"), ("case;T1;label", "no column 'case'; no column 'label'"),
])
def test_a_table_without_what_is_needed(tmp_path, header, said):
    (problem,) = scan(tmp_path, header=header).problems
    assert problem.file == "dataset.csv" and said in problem.problem


def test_what_is_no_file_is_no_modality(tmp_path):
    listing = scan(tmp_path, "a,p1,x/a1.nii,x/a2.nii,a.nii.gz,61.5,U.K.,", "b,p1,x/b1.nii,x/b2.nii,b.nii.gz,n/a,,",
                   header="case,patient,T1,T2,label,age,Country,note")
    assert listing.modalities == ("T1", "T2") and not listing.problems
    assert listing.cases[0].columns == {"patient": "p1", "age": "61.5", "Country": "U.K.", "note": ""}
    assert listing.warnings == ["dataset.csv: no modalities, these columns have no file: age, Country, note"]
    (problem,) = scan(tmp_path, "a,x/a1.nii,scan.mat,a.nii.gz", header="case,T1,T2,label").problems
    assert problem.problem.startswith("column 'T2': not a file of these formats")
