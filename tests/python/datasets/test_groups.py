"""What cases belong to: columns of tables, `groups.csv`, patterns; and real patients stay on one side of a fold."""

from __future__ import annotations

import hashlib
import json

import made
import pytest
from pocketnet.contracts.groups import leaks, together
from pocketnet.datasets import layouts, presets
from pocketnet.datasets.folder import Case
from pocketnet.datasets.groups import assign
from pocketnet.errors import UsageError
from pocketnet.planning.folds import PARTS, split_cases, split_into_subsets
from pocketnet.planning.given import given_splits


def cases(*names, **columns) -> list[Case]:
    return [Case(name, {}, None, columns={key: values[i] for key, values in columns.items()})
            for i, name in enumerate(names)]


def groups(found) -> list[str | None]:
    return [case.group for case in found.cases]


@pytest.mark.parametrize("columns, group, expected", [
    ({"site": "xy", "Patient": "ab"}, None, ["a", "b"]), ({"site": "xy"}, None, ["x", "y"]),
    ({"site": "xy", "patient": "ab"}, "site", ["x", "y"]), ({"patient": "ab"}, "none", [None, None]),
    ({"age": "12"}, None, [None, None]), ({"age": "12"}, "AGE", ["1", "2"]), ({"subject_id": "ab"}, None, ["a", "b"]),
    ({"patient": "ab"}, r"^(\w)", ["p", "q"]), ({}, r"(?:p|q)(\d)", ["1", "2"]),
    ({"patient": "a "}, None, ["a", None])])
def test_the_group_of_a_case(tmp_path, columns, group, expected):
    assert groups(assign(tmp_path, cases("p1", "q2", **columns), group, None)) == expected


def test_a_table_beside_the_images(tmp_path):
    (tmp_path / "cases.csv").write_text("case,patient\np1,x\n")
    assert groups(assign(tmp_path, cases("p1"), None, None)) == ["x"]
    (tmp_path / "groups.csv").write_text("\ufeffcase, Patient, scanner\np1,a,\nq2,,s\nother,b,s\n")
    found = assign(tmp_path, cases("p1", "q2"), None, "scanner")
    assert groups(found) == ["a", None] and [case.stratum for case in found.cases] == ["n/a", "s"]
    assert found.source == "column patient" and not found.problems
    assert "1 row without a labelled case: other" in found.warnings[0] and "empty in 1 case" in found.warnings[1]


@pytest.mark.parametrize("table, said", [
    ("case,patient\np1,a\n", "missing: no row for this case, so its patient is unknown"),
    ("case,patient\np1,a\np1,b\nq2,c\n", "line 3: this case is listed twice"),
    ("name,patient\np1,a\n", "no column 'case'. Columns: name, patient"), (b"\xff\xfe", "cannot be read as CSV")])
def test_a_table_that_does_not_fit(tmp_path, table, said):
    (tmp_path / "groups.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    (problem,) = assign(tmp_path, cases("p1", "q2"), None, None).problems
    assert problem.file == "groups.csv" and said in problem.problem


def test_a_name_that_the_pattern_does_not_fit(tmp_path):
    (problem,) = assign(tmp_path, cases("p1_a", "x"), r"(p\d)_", None).problems
    assert problem.case == "x" and "does not match --group (p" in problem.problem


@pytest.mark.parametrize("group, stratify, said", [
    ("(p", None, "not a regular expression(?s:.*)parentheses"),
    ("(p)(1)", None, "one pair of parentheses(?s:.*)Found: 2"),
    ("patint", None, "no column 'patint'(?s:.*)Did you mean patient"),
    (None, "kind", "no column 'kind'(?s:.*)--stratify")])
def test_wishes_that_cannot_be_met(tmp_path, group, stratify, said):
    with pytest.raises(UsageError, match=said):
        assign(tmp_path, cases("p1", patient="a"), group, stratify)


@pytest.fixture(scope="module")
def acdc(real_data):
    """The real cases of ACDC by way of their names, groups and checksums, without reading voxels."""
    folder = real_data / "Task27_ACDC"
    if not folder.is_dir():
        pytest.skip(f"no ACDC at {folder}")

    def manifest(group):
        found = assign(folder, layouts.scan(folder, presets.load("decathlon")).cases, group, None)
        assert not found.problems
        return made.manifest([made.case(
            case.name, images=[case.images["MRI"]], label=case.label, **({"group": case.group} if case.group else {}),
            sha256={case.images["MRI"]: hashlib.sha256((folder / case.images["MRI"]).read_bytes()).hexdigest()})
            for case in found.cases])

    return folder, manifest


@pytest.mark.parametrize("group", [None, r"(patient\d+)_"])
def test_no_patient_of_acdc_is_in_two_parts(acdc, group):
    manifest = acdc[1](group)
    patients = {case.case: case.case.split("_")[0].replace("076", "074") for case in manifest.cases}
    for folds in (5, 3):
        found = split_cases(manifest, folds, 12345)[1]
        assert sorted(name for fold in found for name in fold.test) == sorted(patients)
        for fold in (*found, *split_into_subsets(manifest, None, 12345)[1]):
            assert leaks(patients, {part: getattr(fold, part) for part in PARTS}) == []
    assert len(set(together(manifest.cases).values())) == 89  # patient074 and patient076 are the same images


def test_nnunets_folds_of_acdc_are_taken(acdc):
    folder, manifest = acdc
    published = json.loads((folder / "splits_nnunet.json").read_text())
    _, found = given_splits(folder / "splits_nnunet.json", manifest(None), 12345)
    assert [fold.test for fold in found] == [sorted(fold["val"]) for fold in published]
    assert [sorted([*fold.train, *fold.validation]) for fold in found] == [sorted(fold["train"]) for fold in published]
