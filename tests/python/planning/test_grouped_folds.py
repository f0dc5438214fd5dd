"""Cases that belong together stay together: in folds, validation cases and training sets, drawn or given."""

import json
from collections import Counter

import made
import pytest
from checked import write_json
from pocketnet.contracts.groups import leaks, same_images, together
from pocketnet.errors import DataError, UsageError
from pocketnet.planning.folds import PARTS, Parts, check_groups, shared_images, split_cases, split_into_subsets
from pocketnet.planning.given import given_splits

ONE, OTHER, MAP = "1" * 64, "2" * 64, "f" * 64


def scans(patients: int = 30, each: int = 2, **more) -> list[dict]:
    """So many patients with so many scans each."""
    return [made.case(f"p{i:02d}_{j}", label="l.nii.gz", group=f"p{i:02d}",
                      **{key: value(i, j) for key, value in more.items()})
            for i in range(patients) for j in range(each)]


def patients(names) -> set[str]:
    return {name.split("_")[0] for name in names}


def test_folds_and_validation_cases_of_a_segmentation_keep_patients_together():
    manifest = made.manifest(scans())
    rule, folds = split_cases(manifest, 5, 12345)
    assert "group" in rule and sorted(name for fold in folds for name in fold.test) == [c.case for c in manifest.cases]
    for fold in folds:
        parts = [patients(getattr(fold, part)) for part in PARTS]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 30 and len(parts[1]) == 2
    alone = split_cases(made.manifest([made.case(f"p{i:02d}", label="l.nii.gz") for i in range(30)]), 5, 12345)[1]
    assert [patients(fold.test) for fold in folds] == [set(fold.test) for fold in alone]  # nnU-Net's rule, over groups


def test_training_sets_grow_by_whole_patients():
    _, sets = split_into_subsets(made.manifest(scans(each=3)), [10, 11, 31], 4)
    assert [one.train_size for one in sets] == [12, 33] and [len(one.train) for one in sets] == [12, 33]
    for one in sets:
        assert all(count == 3 for part in PARTS for count in Counter(n[:3] for n in getattr(one, part)).values())


def test_the_same_image_joins_cases_and_their_patients():
    entries = scans(6)
    for index, sha in ((0, ONE), (3, ONE), (4, OTHER), (11, OTHER)):
        entries[index]["sha256"] = {entries[index]["images"][0]: sha}
    manifest = made.manifest(entries)
    groups = together(manifest.cases)
    assert len(set(groups.values())) == 4 and groups["p00_1"] == groups["p01_0"] and groups["p02_1"] == groups["p05_0"]
    for seed in range(4):
        for fold in split_cases(manifest, 3, seed)[1]:
            assert not leaks(groups, {part: getattr(fold, part) for part in PARTS})


def test_what_is_no_same_image():
    def entry(name, images, **sha):
        return made.case(name, images=images, sha256={key.replace("_", "."): value for key, value in sha.items()})

    pair = made.manifest([entry("a", ["a.hdr"], a_hdr=ONE, a_img=OTHER), entry("b", ["b.hdr"], b_hdr=ONE, b_img=MAP)])
    assert same_images(pair.cases) == []  # equal headers, other voxels
    cine = made.manifest([entry("a", ["s.nii[0]"], s_nii=ONE), entry("b", ["s.nii[1]"], s_nii=ONE),
                          entry("c", ["s.nii[1]"], s_nii=ONE)])
    assert same_images(cine.cases) == [[("b", "s.nii[1]"), ("c", "s.nii[1]")]]
    atlas = [entry(name, [f"{name}.nii", "atlas.nii"], **{f"{name}_nii": sha * 64}, atlas_nii=MAP)
             for name, sha in (("a", "1"), ("b", "2"), ("c", "3"))]
    whole = made.manifest(atlas, modalities=["MRI", "atlas"]).cases
    assert len(same_images(whole)[0]) == 3 and len(set(together(whole).values())) == 3


@pytest.mark.parametrize("count", [1, 2])
def test_values_stay_in_proportion_where_asked(count):
    kinds = {**dict.fromkeys(range(0, 50, 5), "stained"), 7: "rare"}
    manifest = made.manifest(scans(50, count, stratum=lambda i, j: kinds.get(i, "plain")))
    rule, folds = split_cases(manifest, 5, 1)
    assert "stratum" in rule
    value = {case.case: case.stratum for case in manifest.cases}
    for fold in folds:
        assert [Counter(value[n] for n in getattr(fold, part))["stained"] / count for part in PARTS[1:]] == [1, 2]
        assert not patients(fold.train) & patients(fold.validation)
    assert split_cases(made.manifest(scans(50, count)), 5, 1)[1] != folds


def test_a_class_is_stratified_by_a_value_too():
    entries = [{"case": f"c{i:03d}", "class": ("negative", "positive")[i % 2], "stratum": ("old", "new")[i // 2 % 2]}
               for i in range(80)]
    kind = {entry["case"]: (entry["class"], entry["stratum"]) for entry in entries}
    for fold in split_cases(made.classes(entries), 5, 3)[1]:
        assert set(Counter(kind[name] for name in fold.test).values()) == {4}


@pytest.mark.parametrize("entries, folds, said", [
    (scans(4, 6), 5, "4 groups of 24 labelled cases are too few for 5 folds(?s:.*)--folds 4 or more groups"),
    (scans(1, 9), 3, "Provide at least 3 groups"),
    (scans(9, stratum=lambda i, j: str(i)), 3, "No value to stratify by has 3 groups")])
def test_too_few_groups(entries, folds, said):
    with pytest.raises(DataError, match=said):
        split_cases(made.manifest(entries), folds, 1)


def test_a_patient_in_the_listed_test_set_and_outside_is_refused():
    manifest = made.manifest(scans(6), split={"rule": "listed", "test": ["p00_0", "p00_1", "p03_1"]})
    for split in (lambda: split_cases(manifest, 5, 1), lambda: split_into_subsets(manifest, None, 1)):
        with pytest.raises(DataError, match=r"group p03: p03_0 in \w+; p03_1 in test(?s:.*)--group none"):
            split()


def write(path, folds):
    path.write_text(json.dumps(folds))
    return path


def nnunet(count: int = 6) -> list[dict]:
    names = [f"p{i:02d}_{j}" for i in range(count) for j in range(2)]
    return [{"train": [n for n in names if n[2] not in digits], "val": [n for n in names if n[2] in digits]}
            for digits in ("01", "23", "45")]


def test_nnunets_folds_are_taken_and_validation_is_drawn_by_patient(tmp_path):
    folds = nnunet()
    rule, found = given_splits(write(tmp_path / "splits_final.json", folds), made.manifest(scans(6)), 12345)
    assert "splits_final.json" in rule and "`val` for test" in rule
    for given, fold in zip(folds, found, strict=True):
        assert fold.test == given["val"] and sorted([*fold.train, *fold.validation]) == given["train"]
        assert len(fold.validation) == 2 and not patients(fold.train) & patients(fold.validation)


def test_our_own_folds_are_taken_as_they_are(tmp_path):
    constants = [{"modality": "MRI", "mean": 0, "std": 1, "p0_5": 0, "p99_5": 1}]
    folds = [{"fold": number, "train": ["p00_0", "p00_1", "p01_0"], "validation": [f"p0{number}_0"], "test": ["p05_1"],
              "intensity": constants} for number in (2, 4)]
    write_json(tmp_path / "s.json", {"dataset": "x", "rule": "by hand", "seed": 3, "folds": folds}, "splits")
    _, found = given_splits(tmp_path / "s.json", made.manifest(scans(6)), 1)
    assert [(one.number, list(one.train), list(one.validation), list(one.test)) for one in found] == [
        (fold["fold"], fold["train"], fold["validation"], fold["test"]) for fold in folds]


def moved(folds, fold, name, to="train"):
    other = "val" if to == "train" else "train"
    return [{to: [*one[to], name], other: [n for n in one[other] if n != name]} if number == fold else one
            for number, one in enumerate(folds)]


@pytest.mark.parametrize("folds, error, said", [
    (moved(nnunet(), 1, "p02_1"), DataError, "fold 1, group p02: p02_1 in train; p02_0 in test(?s:.*)Put all cases"),
    ([{**nnunet()[0], "val": ["p00_0", "zz"]}], DataError, "fold 0, val: there is no labelled case 'zz'"),
    ([{"train": ["p00_0"], "val": ["p00_0"]}], DataError, "the same case twice: p00_0 in train; p00_0 in val"),
    ([{"train": ["p00_0", "p00_0"], "val": ["p01_0"]}], DataError, "'p00_0' is listed 2 times"),
    ([{"train": [], "val": ["p01_0"]}], DataError, "train: no case"),
    ([{"train": ["p00_0", "p00_1"], "val": ["p01_0"]}], DataError, "of one group: too few"),
    ([{"train": ["p00_0"]}], UsageError, "not an object with `train` and `val`"), ([], UsageError, "has no fold"),
    ({"folds": []}, DataError, "(?i)splits"), ("text", DataError, "(?i)splits")])
def test_folds_that_cannot_be_used(tmp_path, folds, error, said):
    with pytest.raises(error, match=said):
        given_splits(write(tmp_path / "given.json", folds), made.manifest(scans(6)), 1)


def test_a_file_that_is_no_json(tmp_path):
    (tmp_path / "s.json").write_text("{")
    for name, said in (("s.json", "cannot be read as JSON"), ("none.json", "no such file of splits")):
        with pytest.raises(UsageError, match=said):
            given_splits(tmp_path / name, made.manifest(scans(6)), 1)


def test_given_folds_may_share_an_image_which_is_told():
    entries = scans(6)
    for index in (0, 4):
        entries[index]["sha256"] = {entries[index]["images"][0]: ONE}
    cases = made.manifest(entries).cases
    folds = [Parts(["p00_0", "p00_1"], ["p01_0"], ["p02_0"])]
    check_groups(folds, cases)
    (line,) = shared_images(folds, cases)
    assert line == "fold 0, group p00: p00_0, p00_1 in train; p02_0 in test"
