"""Names of a BIDS derivative: which images of a dataset are segmented, and how their label maps are called."""

from __future__ import annotations

import pytest
from pocketnet.inference import bids
from pocketnet.inference.cases import group

FILES = ("sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz",
         "sub-1/ses-a/anat/sub-1_ses-a_FLAIR.nii",
         "sub-2/micr/sub-2_sample-x_T1w.png", "derivatives/p/sub-1/ses-a/anat/sub-1_ses-a_desc-brain_T1w.nii.gz",
         "derivatives/p/sub-1/ses-a/anat/sub-1_ses-a_dseg.nii.gz", "sourcedata/sub-1/sub-1_T1w.nii.gz")


@pytest.mark.parametrize("modalities, expected", [
    (["T1w"], {"sub-1/ses-a/anat/sub-1_ses-a_dseg": 1, "sub-2/micr/sub-2_sample-x_dseg": 1}),
    (["T1w", "FLAIR"], {"sub-1/ses-a/anat/sub-1_ses-a_dseg": 2})])
def test_images_of_a_dataset(tmp_path, modalities, expected):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files, left_out = bids.images([tmp_path], modalities)
    found = bids.as_derivative(group(files, modalities))
    assert {case: len(paths) for case, paths in found.cases.items()} == expected
    assert left_out == ([] if len(modalities) == 2 else ["left out: images with other suffixes than T1w: FLAIR"])


def test_two_images_of_the_same_entities_and_a_foreign_name(tmp_path):
    names = ("sub-1_T1w.nii", "sub-1_T2w.nii", "scan.nii")
    for name in names:
        (tmp_path / name).touch()
    found = bids.as_derivative(group([tmp_path / name for name in names], ["MRI"]))
    assert list(found.cases) == ["sub-1/anat/sub-1_dseg"]
    assert [problem.split(": ")[1] for problem in found.problems] == [
        f"{tmp_path}/sub-1_T1w.nii has the same entities", "this is not a BIDS name, such as sub-1_T1w.nii.gz"]
