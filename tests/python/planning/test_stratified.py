"""Splits of a classification: by class, a patient on one side, and refused where a class is too small."""

import made
import pytest
from pocketnet.errors import DataError
from pocketnet.planning.folds import PARTS, split_cases


def cases(positive: int, negative: int, patients: int | None = None) -> list[dict]:
    """Cases in which, with `patients`, so many images in a row are one person's."""
    out = []
    for name, count in (("positive", positive), ("negative", negative)):
        out += [{"case": f"{name}_{i:03d}", "class": name,
                 **({"group": f"{name}{i // patients}"} if patients else {})} for i in range(count)]
    return out


def manifest(entries, **more):
    return made.classes(entries, ("positive", "negative"), **more)


def test_each_case_is_tested_once_and_shares_are_kept():
    rule, folds = split_cases(manifest(cases(40, 120)), 5, 12345)
    assert "StratifiedKFold" in rule and sorted(c for f in folds for c in f.test) == sorted(
        case["case"] for case in cases(40, 120))
    for fold in folds:
        parts = [set(getattr(fold, part)) for part in PARTS]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 160
        for part, size in zip(parts, (28, 4, 8), strict=True):
            assert abs(sum(name.startswith("positive") for name in part) - size) <= 1
    assert split_cases(manifest(cases(40, 120)), 5, 12345)[1] == folds
    assert split_cases(manifest(cases(40, 120)), 5, 1)[1] != folds


def test_a_patients_images_stay_together():
    entries = cases(40, 120, patients=4)
    whose = {case["case"]: case["group"] for case in entries}
    rule, folds = split_cases(manifest(entries), 4, 1)
    assert "group" in rule
    for fold in folds:
        seen = [{whose[case] for case in getattr(fold, part)} for part in PARTS]
        assert sum(map(len, seen)) == len(set.union(*seen)) == 40
    assert split_cases(manifest(entries), 4, 1)[1] == folds != split_cases(manifest(entries), 4, 2)[1]


def test_the_listed_test_set_is_kept():
    entries = cases(30, 60)
    test = ["negative_000", "negative_001", "positive_000"]
    rule, folds = split_cases(manifest(entries, split={"rule": "listed", "test": test}), 5, 1)
    assert "own test list" in rule and len(folds) == 1 and folds[0].test == test
    assert len(folds[0].validation) == 9 and len(folds[0].train) == 78
    assert sum(name.startswith("positive") for name in folds[0].validation) == 3


@pytest.mark.parametrize(("entries", "folds", "said"), [
    (cases(1, 30), 5, "class 'positive' has 1 example "), (cases(4, 30), 5, "5 folds need one"),
    (cases(20, 60, patients=20), 3, "class 'positive' has 1 example ")])
def test_too_few_of_a_class(entries, folds, said):
    with pytest.raises(DataError) as caught:
        split_cases(manifest(entries), folds, 1)
    assert said in caught.value.render()


def test_a_listed_segmentation_keeps_its_test_set():
    entries = [{"case": f"c{i}", "label": f"c{i}.nii.gz"} for i in range(12)]
    rule, folds = split_cases(made.manifest(entries, split={"rule": "listed", "test": ["c3", "c1"]}), 5, 1)
    assert folds[0].test == ["c1", "c3"] and len(folds[0].validation) == 1 and len(folds[0].train) == 9
    with pytest.raises(DataError, match="too few(?s:.*)at least 2 more"):
        split_cases(made.manifest(entries[:3], split={"rule": "listed", "test": ["c0", "c1"]}), 5, 1)
