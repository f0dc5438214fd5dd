"""The adapters: what is a case, what is missing, extra or double, by names alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made import touch
from pocketnet.datasets import layouts, presets
from pocketnet.errors import UsageError


def starts(problems, expected) -> list[tuple[str, str]]:
    """File and text of each problem, the text as long as the one expected."""
    return [(p.file, p.problem[:len(text)]) for p, (_, text) in zip(problems, expected, strict=True)]


BRATS = [  # what, files, problems as (file, start of the text)
    ("as it should be", ["a/a_flair.nii.gz", "a/a_t1ce.nii", "a/a_seg.nii.gz"], []),
    ("known extras", ["a/a_flair.nii.gz", "a/a_t1ce.nii.gz", "a/a_seg.nii.gz", "a/a_brainmask.nii.gz",
                      "a/a_t2.nii.gz", "a/notes.txt", "survival.csv", "a/._a_t2.nii.gz"], []),
    ("since 2023", ["B-1-0/B-1-0-t2f.nii.gz", "B-1-0/B-1-0-t1c.nii.gz", "B-1-0/B-1-0-seg.nii.gz"], []),
    ("other folders", ["a/a_flair.nii.gz", "a/a_t1ce.nii.gz", "a/a_seg.nii.gz", "out/manifest.json"], []),
    ("missing", ["a/a_flair.nii.gz"], [("a/a_t1ce.nii.gz", "missing"), ("a/a_seg.nii.gz", "missing")]),
    ("double", ["a/a_flair.nii.gz", "a/a_flair.nii", "a/a_t1ce.nii.gz", "a/a_seg.nii.gz"],
     [("a/a_flair.nii.gz", "duplicate: a/a_flair.nii")]),
    ("double by alias", ["a/a_flair.nii.gz", "a/a_t2f.nii.gz", "a/a_t1ce.nii.gz", "a/a_seg.nii.gz"],
     [("a/a_t2f.nii.gz", "duplicate: a/a_flair.nii.gz")]),
    ("unknown ending", ["a/a_flair.nii.gz", "a/a_t1ce.nii.gz", "a/a_seg.nii.gz", "a/a_flair_old.nii.gz"],
     [("a/a_flair_old.nii.gz", "extra: 'flair_old' is not one of")]),
    ("another case's", ["a/a_flair.nii.gz", "a/a_t1ce.nii.gz", "a/a_seg.nii.gz", "a/b_flair.nii.gz"],
     [("a/b_flair.nii.gz", "extra: a file of this folder starts with a_")]),
    ("no folder", ["a/a_flair.nii.gz", "a/a_t1ce.nii.gz", "a/a_seg.nii.gz", "b_flair.nii.gz"],
     [("b_flair.nii.gz", "extra: it lies in no case's folder, as in b/b_flair.nii.gz")]),
]


@pytest.mark.parametrize(("what", "names", "expected"), BRATS, ids=[row[0] for row in BRATS])
def test_brats(tmp_path, what, names, expected):
    listing = layouts.scan(touch(tmp_path, *names), presets.load("brats"), ["flair", "t1ce"])
    problems = [*listing.problems, *listing.missing_labels]
    assert starts(problems, expected) == expected
    assert listing.modalities == ("flair", "t1ce")
    assert len(listing.cases) == 1
    if not expected:
        assert list(listing.cases[0].images) == ["flair", "t1ce"] and "seg" in listing.cases[0].label


def test_brats_of_ones_own_has_the_modalities_that_the_names_say(tmp_path):
    touch(tmp_path, "a/a_dwi.nii.gz", "a/a_adc.nii.gz", "a/a_seg.nii.gz", "b/b_dwi.nii.gz", "b/b_seg.nii.gz")
    listing = layouts.scan(tmp_path, presets.load("folders"))
    assert listing.modalities == ("adc", "dwi")
    assert [(p.file, p.problem) for p in listing.problems] == [("b/b_adc.nii.gz", "missing: no adc file for this case")]


def test_brats_2020s_stray_label(tmp_path):
    touch(tmp_path, "BraTS20_Training_355/BraTS20_Training_355_flair.nii.gz",
          "BraTS20_Training_355/W39_1998.09.19_Segm.nii")
    listing = layouts.scan(tmp_path, presets.load("brats"), ["flair"])
    assert (listing.problems, listing.missing_labels) == ([], [])
    assert listing.cases[0].label == "BraTS20_Training_355/W39_1998.09.19_Segm.nii"


def test_brats_empty_folder_is_a_problem(tmp_path):
    touch(tmp_path, "a/a_flair.nii.gz", "a/a_seg.nii.gz")
    (tmp_path / "b").mkdir()
    listing = layouts.scan(tmp_path, presets.load("brats"), ["flair"])
    assert [(p.case, p.problem) for p in listing.problems] == [("b", "missing: this case's folder is empty")]


def test_brats_modalities_that_no_case_has(tmp_path):
    listing = layouts.scan(touch(tmp_path, "a/a_flair.nii.gz", "a/a_seg.nii.gz"), presets.load("brats"))
    assert listing.todo == "No case has t1, t1ce, t2: use the others with --modalities flair."


def decathlon(root: Path, modalities: int, names: list[str]) -> Path:
    index = {"modality": {str(n): f"M{n}" for n in range(modalities)},
             "labels": {"0": "background", "1": "x", "2": "x"},
             "numTraining": 1, "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]}
    touch(root, *names, "labelsTr/a.nii.gz")
    (root / "dataset.json").write_text(json.dumps(index))
    return root


DECATHLON = [  # what, modalities, files, images found, problems
    ("one modality", 1, ["imagesTr/a.nii.gz"], ["imagesTr/a.nii.gz"], []),
    ("one, numbered", 1, ["imagesTr/a_0000.nii.gz"], ["imagesTr/a_0000.nii.gz"], []),
    ("two", 2, ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii"],
     ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii"], []),
    ("second missing", 2, ["imagesTr/a_0000.nii.gz"],
     ["imagesTr/a_0000.nii.gz"], [("imagesTr/a_0001.nii.gz", "missing")]),
    ("all in one file", 2, ["imagesTr/a.nii.gz"], ["imagesTr/a.nii.gz[0]", "imagesTr/a.nii.gz[1]"], []),
    ("double", 1, ["imagesTr/a_0000.nii.gz", "imagesTr/a_0000.nii"],
     [], [("imagesTr/a_0000.nii", "duplicate")]),
    ("hidden files", 1, ["imagesTr/a.nii.gz", "imagesTr/._a.nii.gz", "imagesTs/b.nii.gz"],
     ["imagesTr/a.nii.gz"], []),
]


@pytest.mark.parametrize(("what", "modalities", "names", "images", "expected"), DECATHLON,
                         ids=[row[0] for row in DECATHLON])
def test_decathlon(tmp_path, what, modalities, names, images, expected):
    listing = layouts.scan(decathlon(tmp_path, modalities, names), presets.load("hippocampus"))
    assert list(listing.cases[0].images.values()) == images
    assert starts(listing.problems, expected) == expected
    assert listing.classes == {"x": (1, 2)}


def test_decathlon_selects_modalities(tmp_path):
    names = [f"imagesTr/a_000{n}.nii.gz" for n in range(3)]
    listing = layouts.scan(decathlon(tmp_path, 3, names), presets.load("hippocampus"), ["M2", "M0"])
    assert dict(listing.cases[0].images) == {"M2": names[2], "M0": names[0]}
    assert listing.problems == []


def test_decathlon_warns_when_the_count_is_another(tmp_path):
    decathlon(tmp_path, 1, ["imagesTr/a.nii.gz"])
    index = json.loads((tmp_path / "dataset.json").read_text()) | {"numTraining": 5}
    (tmp_path / "dataset.json").write_text(json.dumps(index))
    listing = layouts.scan(tmp_path, presets.load("hippocampus"))
    assert listing.warnings == ["dataset.json: numTraining is 5, but 1 cases are listed"]


@pytest.mark.parametrize(("names", "dataset", "what", "todo"), [
    (["a/a_flair.nii.gz"], "hippocampus", "has the brats layout", "Use --dataset brats"),
    (["dataset.json"], "brats", "has the decathlon layout", "Use --dataset demo or hippocampus"),
    (["Task04/dataset.json"], "hippocampus", "a folder in it has", "/Task04."),
    (["readme.txt"], "brats", "no known layout", "<case>/<case>_<modality>.nii.gz"),
    (["readme.txt"], "lits", "no known layout", "volume-{case}.nii.gz with segmentation-{case}.nii.gz"),
    (["Training Batch 1/volume-0.nii"], "nfbs", "has the lits layout, but dataset 'nfbs' has nfbs", "--dataset lits,"),
    (["A1/sub-A1_ses-NFB3_T1w.nii.gz"], "lits", "has the nfbs layout", "--dataset nfbs,"),
    (["dataset.csv", "volume-0.nii"], "hippocampus", "has the lits or csv layout", "--dataset lits or csv,"),
])
def test_another_layout(tmp_path, names, dataset, what, todo):
    with pytest.raises(UsageError) as error:
        layouts.scan(touch(tmp_path, *names), presets.load(dataset))
    assert what in error.value.what and todo in error.value.todo


def test_no_such_folder(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        layouts.scan(tmp_path / "nothing", presets.load("demo"))
