"""Layouts described by file names: LiTS, NFBS and one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made import touch
from pocketnet.datasets import layouts, presets

LITS = ["volume-0.nii", "segmentation-0.nii"]


@pytest.mark.parametrize("names, cases", [
    (LITS, {"volume-0": ("volume-0.nii", "segmentation-0.nii")}),
    (["Training Batch 1/volume-0.nii", "Training Batch 1/segmentation-0.nii", "Training Batch 2/volume-28.nii",
      "Training Batch 2/segmentation-28.nii", "test-volume-3.nii", ".hidden/volume-9.nii", "._volume-0.nii"],
     {"volume-0": ("Training Batch 1/volume-0.nii", "Training Batch 1/segmentation-0.nii"),
      "volume-28": ("Training Batch 2/volume-28.nii", "Training Batch 2/segmentation-28.nii")}),
    (["images/volume-7.nii.gz", "labels/segmentation-7.nii.gz"],
     {"volume-7": ("images/volume-7.nii.gz", "labels/segmentation-7.nii.gz")}),
])
def test_lits_flat_or_in_folders(tmp_path, names, cases):
    listing = layouts.scan(touch(tmp_path, *names), presets.load("lits"))
    assert {case.name: (case.images["CT"], case.label) for case in listing.cases} == cases
    assert listing.problems == listing.missing_labels == []


def test_nfbs(tmp_path):
    start = "NFBS_Dataset/A00028185/sub-A00028185_ses-NFB3_T1w"
    listing = layouts.scan(touch(tmp_path, *(f"{start}{end}.nii.gz" for end in ("", "_brain", "_brainmask"))),
                           presets.load("nfbs"))
    (case,) = listing.cases
    assert (case.name, dict(case.images), case.label) == (
        "A00028185", {"T1w": f"{start}.nii.gz"}, f"{start}_brainmask.nii.gz")
    assert listing.problems == []


def test_what_is_missing_double_or_extra(tmp_path):
    touch(tmp_path, *LITS, "a/volume-0.nii.gz", "volume-1.nii", "segmentation-2.nii", "liver.nii")
    listing = layouts.scan(tmp_path, presets.load("lits"))
    assert sorted((p.case, p.file, p.problem.split(":")[0]) for p in listing.problems) == [
        ("", "liver.nii", "extra"), ("volume-0", "a/volume-0.nii.gz", "duplicate"),
        ("volume-2", "volume-2.nii.gz", "missing")]
    assert [(p.case, p.file) for p in listing.missing_labels] == [("volume-1", "segmentation-1.nii.gz")]


@pytest.mark.parametrize("template, name", [
    ("{case}/t2", "p1/t2.nii"), ("{case}/sub-{case}_T2w", "raw/p1/sub-p1_T2w.nii.gz"), ("T2/{case}.0", "T2/p1.0.nii"),
])
def test_ones_own_names(tmp_path, template, name):
    entry = json.loads((presets.HERE / "presets.json").read_text())["lits"]
    entry |= {"layout": "ours", "files": {"images": {"T2": template}, "label": "{case}_mask"}}
    path = tmp_path / "prostate.json"
    path.write_text(json.dumps(entry))
    data = tmp_path / "data"
    listing = layouts.scan(touch(data, name, "masks/p1_mask.nii"), presets.load(path))
    assert [(c.name, dict(c.images), c.label) for c in listing.cases] == [("p1", {"T2": name}, "masks/p1_mask.nii")]


def test_another_persons_file_is_no_case_of_the_folder(tmp_path):
    """`{case}` stands for the same name wherever it stands."""
    touch(tmp_path, "A1/sub-A1_ses-NFB3_T1w.nii.gz")
    preset = presets.load("nfbs")
    assert layouts.scan(tmp_path, preset).cases[0].name == "A1"
    assert Path(layouts.scan(tmp_path, preset).missing_labels[0].file).name == "sub-A1_ses-NFB3_T1w_brainmask.nii.gz"
