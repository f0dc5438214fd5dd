"""BIDS: images by suffix, label maps in a derivative, subjects as groups; and the same dataset in four layouts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import MappingProxyType

import nibabel as nib
import numpy as np
import pytest
from made import touch
from pocketnet.datasets import check, layouts, presets
from pocketnet.errors import UsageError
from pocketnet.planning.folds import split_cases
from pocketnet.planning.preprocessing import resolve
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.dataset import write_stores

MANUAL = "derivatives/manual"


def bids(suffix=None, labels_from=MANUAL, name="bids", **more):
    given = {key: value for key, value in (("suffix", suffix), ("labels_from", labels_from)) if value}
    return replace(presets.load(name), bids=MappingProxyType(given), **more)


def files(folder, *names):
    touch(folder, "dataset_description.json", *names)
    return folder


def test_sessions_runs_and_other_derivatives(tmp_path):
    raw = [f"sub-{s}/ses-{v}/anat/sub-{s}_ses-{v}_run-{r}_T1w.nii.gz" for s in ("a", "b") for v in "12" for r in "12"]
    labels = [path.replace("_T1w", "_desc-expert_dseg") for path in raw]
    files(tmp_path, *raw, *(f"{MANUAL}/{path}" for path in labels), "sub-a/ses-1/func/sub-a_ses-1_bold.nii.gz",
          "derivatives/other/sub-a/ses-1/anat/sub-a_ses-1_run-1_dseg.nii.gz", "sourcedata/sub-a/sub-a_T1w.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tsite\tsex\nsub-a\tx\tF\nsub-b\ty\tn/a\n")
    listing = layouts.scan(tmp_path, bids("T1w"))
    assert not listing.problems and not listing.missing_labels and listing.modalities == ("T1w",)
    assert [(case.name, case.images["T1w"], case.label) for case in listing.cases] == [
        (f"sub-{s}_ses-{v}_run-{r}", raw[i], f"{MANUAL}/{labels[i]}")
        for i, (s, v, r) in enumerate((s, v, r) for s in ("a", "b") for v in "12" for r in "12")]
    assert listing.cases[-1].columns == {"sub": "b", "ses": "2", "run": "2", "participant_id": "sub-b", "site": "y",
                                         "sex": "n/a"}


def test_modalities_and_label_maps_without_entities_of_their_own(tmp_path):
    files(tmp_path, *(f"sub-{n}/anat/sub-{n}_{m}.nii" for n in range(3) for m in ("T1w", "FLAIR")),
          *(f"{MANUAL}/sub-{n}/anat/sub-{n}_dseg.nii.gz" for n in range(2)))
    listing = layouts.scan(tmp_path, bids("FLAIR,T1w"))
    assert listing.modalities == ("FLAIR", "T1w") and list(listing.cases[0].images) == ["FLAIR", "T1w"]
    assert [problem.case for problem in listing.missing_labels] == ["sub-2"]
    (tmp_path / "sub-1/anat/sub-1_T1w.nii").unlink()
    (problem,) = layouts.scan(tmp_path, bids("FLAIR,T1w")).problems
    assert (problem.case, problem.problem) == ("sub-1", "missing: this case's T1w")


def test_a_run_does_not_take_the_label_map_of_another(tmp_path):
    files(tmp_path, "sub-1/anat/sub-1_T1w.nii", "sub-1/anat/sub-1_run-2_T1w.nii",
          f"{MANUAL}/sub-1/anat/sub-1_run-2_dseg.nii", f"{MANUAL}/sub-10/anat/sub-10_dseg.nii", "sub-10/x_y.nii")
    labels = {case.name: case.label for case in layouts.scan(tmp_path, bids("T1w")).cases}
    assert labels == {"sub-1": None, "sub-1_run-2": f"{MANUAL}/sub-1/anat/sub-1_run-2_dseg.nii"}


MICROSCOPY = ("sub-r/micr/sub-r_sample-a_SEM.png", f"{MANUAL}/sub-r/micr/sub-r_sample-a_SEM_seg-axon-manual.png",
              f"{MANUAL}/sub-r/micr/sub-r_sample-a_SEM_seg-both-manual.png")


def test_one_of_several_kinds_of_label_maps_is_chosen(tmp_path):
    files(tmp_path, *MICROSCOPY)
    (case,) = layouts.scan(tmp_path, bids(labels_from=f"{MANUAL}:seg-both-manual")).cases
    assert (case.name, case.label) == ("sub-r_sample-a", MICROSCOPY[2])


@pytest.mark.parametrize("names, preset, said", [
    (MICROSCOPY, bids(), "2 kinds: seg-axon-manual .1., seg-both-manual .1.(?s:.*)manual:seg-axon-manual"),
    (MICROSCOPY, bids(labels_from=f"{MANUAL}:dseg"), "no label maps 'dseg' here"),
    (MICROSCOPY, bids(labels_from=None), "does not say where its label maps are(?s:.*)derivatives/manual"),
    (MICROSCOPY, bids(labels_from="derivatives/no"), "no such folder(?s:.*)There are: derivatives/manual"),
    (MICROSCOPY, bids(labels_from="../x"), "no such folder"),
    (MICROSCOPY, bids("T1w"), "no image with the suffix T1w(?s:.*)There are: SEM .1."),
    (["sub-1/anat/sub-1_T1w.nii", "sub-1/anat/sub-1_T2w.nii"], bids(), "images of 2 kinds: T1w .1., T2w .1."),
    (["sub-1/readme.txt"], bids(), "no image in its subject folders"),
    (["x/sub-1_T1w.nii"], bids(), "no known layout; dataset 'bids'")])
def test_what_does_not_say_enough(tmp_path, names, preset, said):
    with pytest.raises(UsageError, match=said):
        layouts.scan(files(tmp_path, *names), preset)


def test_participants_without_the_column(tmp_path):
    files(tmp_path, *MICROSCOPY[:2])
    (tmp_path / "participants.tsv").write_text("participant_id,sex\nsub-r,F\n")
    (problem,) = layouts.scan(tmp_path, bids()).problems
    assert problem.file == "participants.tsv" and "no column 'participant_id', tab-separated" in problem.problem


CASES = [f"sub-{name}{visit}" for name in ("1", "2", "3", "4") for visit in ("_ses-1", "_ses-2")]
NAMES = ("T1w", "FLAIR")


def voxels(case):
    """Two images and a label map of a case, small and anisotropic."""
    rng = np.random.default_rng(CASES.index(case))
    label = np.zeros((9, 8, 6), np.uint8)
    label[2:6, 2:6, 1:4], label[4:7, 4:7, 3:5] = 1, 3
    return [(label * 40 + rng.integers(1, 90, label.shape)).astype(np.int16) for _ in NAMES], label


def nifti(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.diag([-1.2, 1, 3, 1])), path)


def as_nnunet(folder):
    for case in CASES:
        images, label = voxels(case)
        for number, image in enumerate(images):
            nifti(folder / f"imagesTr/{case}_000{number}.nii.gz", image)
        nifti(folder / f"labelsTr/{case}.nii.gz", label)
    (folder / "dataset.json").write_text(json.dumps({
        "channel_names": dict(enumerate(NAMES)), "labels": {"background": 0, "a": 1, "b": 3}, "numTraining": len(CASES),
        "file_ending": ".nii.gz"}))
    return presets.load("nnunet"), None


def as_decathlon(folder):
    for case in CASES:
        images, label = voxels(case)
        nifti(folder / f"imagesTr/{case}.nii.gz", np.stack(images, -1))
        nifti(folder / f"labelsTr/{case}.nii.gz", label)
    (folder / "dataset.json").write_text(json.dumps({
        "modality": dict(enumerate(NAMES)), "labels": {"0": "background", "1": "a", "3": "b"},
        "training": [{"image": f"./imagesTr/{c}.nii.gz", "label": f"./labelsTr/{c}.nii.gz"} for c in CASES]}))
    rows = [f"{case},{case[:5]},{case[-1]}" for case in CASES]
    (folder / "groups.csv").write_text("\n".join(["case,Patient,visit", *rows]))
    return presets.load("decathlon"), None


def as_table(folder):
    rows = ["case,T1w,label,patient,age,FLAIR"]
    for case in CASES:
        images, label = voxels(case)
        for name, image in zip(NAMES, images, strict=True):
            nifti(folder / f"{name}/{case}.nii", image)
        nifti(folder / f"masks/{case}.nii.gz", label)
        rows.append(f"{case},T1w/{case}.nii,masks/{case}.nii.gz,{case[:5]},{len(rows)}.5,FLAIR/{case}.nii")
    (folder / "dataset.csv").write_text("\n".join(rows))
    return presets.load("csv"), "a=1,b=3"


def as_bids(folder):
    files(folder, f"{MANUAL}/dataset_description.json")
    for case in CASES:
        images, label = voxels(case)
        inside = case.replace("_", "/") + f"/anat/{case}"
        for name, image in zip(NAMES, images, strict=True):
            nifti(folder / f"{inside}_{name}.nii.gz", image)
        nifti(folder / f"{MANUAL}/{inside}_dseg.nii.gz", label)
    return bids(",".join(NAMES)), "a=1,b=3"


@pytest.fixture(scope="module")
def layouts_of_one(tmp_path_factory):
    """By layout: the manifest, and the checksums of the stores."""
    out = {}
    for make in (as_nnunet, as_decathlon, as_table, as_bids):
        folder = tmp_path_factory.mktemp(make.__name__)
        preset, labels = make(folder)
        if make is as_nnunet:
            preset = replace(preset, group=r"^(sub-\d)")
        found = check.check(folder, preset, label_set=labels, folds=4)
        assert not found.problems, found.problems
        plan = resolve(found.manifest, found.fingerprint)
        write_stores(found.manifest.cases, found.manifest, folder, plan, folder / "stores")
        sums = {case: json.loads((folder / "stores" / case / "case.json").read_text()) for case in CASES}
        shutil.rmtree(folder / "stores")
        out[make.__name__] = found, sums
    return out


def test_the_layouts_give_the_same_stores_and_folds(layouts_of_one):
    (first, stores), *others = layouts_of_one.values()
    folds = split_cases(first.manifest, 4, 12345)
    assert stores["sub-1_ses-1"]["sha256"] and len({store["checksum"] for store in stores.values()}) == len(CASES)
    for found, sums in others:
        assert sums == stores
        assert split_cases(found.manifest, 4, 12345) == folds and found.fingerprint.cases == first.fingerprint.cases


def test_every_layout_finds_the_patients(layouts_of_one):
    for found, _ in layouts_of_one.values():
        assert found.groups[0] == 4
        assert {case.group.removeprefix("sub-") for case in found.manifest.cases} == set("1234")
    (warning,) = layouts_of_one["as_table"][0].warnings
    assert warning == "dataset.csv: no modalities, these columns have no file: age"


@pytest.mark.parametrize("column, folds, said", [
    ("split", None, "one group is in training and test: group sub-3: sub-3_ses-2 in the test list; sub-3_ses-1 in "),
    ("site", 3, "fewer groups of the 8 cases than folds need: 1 for 3 folds")])
def test_groups_that_cannot_be_kept_together_are_problems(tmp_path, column, folds, said):
    as_table(tmp_path)
    head, *rows = (tmp_path / "dataset.csv").read_text().splitlines()
    rows = [f"{row},{'test' if row.startswith(('sub-4', 'sub-3_ses-2')) else 'train'},x" for row in rows]
    (tmp_path / "dataset.csv").write_text("\n".join([f"{head},{column},note" if column == "split" else
                                                     f"{head},note,{column}", *rows]))
    found = check.check(tmp_path, replace(presets.load("csv"), group="patient" if column == "split" else "site"),
                        label_set="a=1,b=3", folds=folds)
    (problem,) = found.problems
    assert problem.problem.startswith(said)
    assert found.todo == f"The groups are those of the column {'patient' if column == 'split' else 'site'}; --group " \
                         "chooses others, or none."


def test_a_png_is_a_slice_with_its_own_values(tmp_path):
    from PIL import Image

    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    palette = Image.fromarray(values, "P")
    palette.putpalette(list(range(255, -1, -1)) * 3)
    alpha = np.stack([values, np.full_like(values, 255)], -1)
    for name, image in (("grey.png", Image.fromarray(values)), ("palette.png", palette),
                        ("alpha.png", Image.fromarray(alpha)),
                        ("equal.png", Image.fromarray(np.stack([values] * 3, -1))),
                        ("wide.TIF", Image.fromarray(values.astype(np.uint16)))):
        image.save(tmp_path / name)
        read = geometry.read(tmp_path / name, label=True)
        assert np.array_equal(read.data[::-1, ::-1, 0].T, values), name
        assert read.spacing == (1, 1, 999) and read.grid.orientation == "LPS"
