"""nnU-Net's `dataset.json`: channels, labels, regions, and what is refused."""

from __future__ import annotations

import json

import pytest
from made import touch
from pocketnet.datasets import layouts, presets

GOOD = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "b": 2, "a": 1}, "numTraining": 2,
        "file_ending": ".nii.gz"}
FILES = [f"imagesTr/{case}_{channel:04d}.nii.gz" for case in ("x_1", "x_2") for channel in (0, 1)]
LABELS = ["labelsTr/x_1.nii.gz", "labelsTr/x_2.nii.gz"]


def scan(folder, *names, **changes):
    touch(folder, *names)
    (folder / "dataset.json").write_text(json.dumps({k: v for k, v in (GOOD | changes).items() if v is not None}))
    return layouts.scan(folder, presets.load("nnunet"))


def test_cases_are_the_files(tmp_path):
    listing = scan(tmp_path, *FILES, *LABELS, "imagesTs/x_3_0000.nii.gz")
    assert listing.modalities == ("CT", "PET") and listing.classes == {"b": (2,), "a": (1,)}
    assert [(c.name, list(c.images.values()), c.label) for c in listing.cases] == [
        (f"x_{n}", FILES[2 * n - 2:2 * n], LABELS[n - 1]) for n in (1, 2)]
    assert listing.problems == listing.missing_labels == listing.warnings == []


def test_what_is_missing(tmp_path):
    listing = scan(tmp_path, *FILES[:3], LABELS[0])
    assert [(p.case, p.file) for p in listing.problems] == [("x_2", "imagesTr/x_2_0001.nii.gz")]
    assert [(p.case, p.file) for p in listing.missing_labels] == [("x_2", LABELS[1])]


def test_regions_keep_all_their_values(tmp_path):
    regions = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "cyst": [4, 5]}
    listing = scan(tmp_path, *FILES, *LABELS, labels=regions, regions_class_order=[1, 2, 3, 4])
    assert listing.classes == {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,), "cyst": (4, 5)}
    assert listing.classes.overlap and listing.problems == listing.warnings == []


def test_lists_of_values_that_exclude_each_other_are_classes(tmp_path):
    listing = scan(tmp_path, *FILES, *LABELS, labels={"background": 0, "tumour": [1, 3], "oedema": 2})
    assert listing.classes == {"tumour": (1, 3), "oedema": (2,)} and not listing.classes.overlap


REGIONS = {"background": 0, "whole": [1, 2, 3], "core": [2, 3]}
RIGHT = 'list them in the order whole, core, with "regions_class_order": [1, 2]'


@pytest.mark.parametrize(("labels", "order", "said"), [
    (REGIONS, None, "the regions 'whole' and 'core' overlap in the value 2, and no order says which"),
    (REGIONS, [1], "the order of the regions has 1 values, but there are 2 regions"),
    (REGIONS, [1, 1], "the order has 1 for the region 'core', which has the values 2, 3"),
    ({"core": [2, 3], "whole": [1, 2, 3]}, [2, 1],
     "the region 'core' would never be written, because 'whole' comes after it and contains it"),
])
def test_regions_without_a_right_order_are_refused(tmp_path, labels, order, said):
    (problem,) = scan(tmp_path, *FILES, *LABELS, labels=labels, regions_class_order=order).problems
    assert problem.file == "dataset.json" and said in problem.problem and RIGHT in problem.problem


def test_channels_of_one_name_are_told_apart(tmp_path):
    assert scan(tmp_path, *FILES, *LABELS, channel_names={"0": "MR", "1": "MR"}).modalities == ("MR_0", "MR_1")


@pytest.mark.parametrize("changes, said", [
    ({"labels": {"background": 0, "a": 1, "ignore": 1}}, "value 1 of the label `ignore` is also that of class 'a'"),
    ({"labels": REGIONS, "regions_class_order": "12"}, "regions_class_order is not a list of label values"),
    ({"labels": {"background": 0}}, "no class besides the background"),
    ({"labels": None}, "labels missing"),
    ({"labels": {"a": "one"}}, "labels missing or not as in nnU-Net"),
    ({"channel_names": {}}, "channel_names missing or not as in nnU-Net"),
    ({"file_ending": ".gif"}, "file_ending is '.gif'; supported: .nii.gz and .nii"),
    ({"file_ending": None}, "file_ending is None"),
    ({"dataset": {"a": {"images": []}}}, "`dataset`, which is not supported"),
])
def test_what_is_refused(tmp_path, changes, said):
    (problem,) = scan(tmp_path, *FILES, *LABELS, **changes).problems
    assert problem.file == "dataset.json" and said in problem.problem
