"""Which files make a case."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pocketnet.errors import DataError, UsageError
from pocketnet.inference.cases import group, stem, suffix
from pocketnet.preprocessing.scan import read_scan


def names(found):
    return {case: [path.name for path in paths] for case, paths in found.cases.items()}


def test_files_are_grouped_by_case(tmp_path):
    for name in ("a_t1.nii.gz", "a_t2.nii.gz", "b-t1.nii", "b-t2.nii", "c_0000.nii.gz", "c_0001.nii.gz"):
        (tmp_path / name).touch()
    found = group([tmp_path], ["t1", "t2"])
    assert names(found) == {"a": ["a_t1.nii.gz", "a_t2.nii.gz"], "b": ["b-t1.nii", "b-t2.nii"],
                            "c": ["c_0000.nii.gz", "c_0001.nii.gz"]}
    assert list(group([tmp_path / "a_t1.nii.gz"], ["MRI"]).cases) == ["a_t1"]


def test_what_makes_no_case_is_told_and_stops_no_other(tmp_path):
    for name in ("a_t1.nii.gz", "a_t2.nii.gz", "c_t1.nii.gz", "odd.nii.gz", "d_t1.nii.gz", "d_t1.nii"):
        (tmp_path / name).touch()
    found = group([tmp_path], ["t1", "t2"])
    assert list(found.cases) == ["a"]
    text = "\n".join(found.problems)
    assert "odd.nii.gz: its name ends in no modality" in text and "case c: t2 missing" in text
    assert "a second t1 of case d" in text
    with pytest.raises(UsageError, match="no such file"):
        group([tmp_path / "none.nii.gz"], ["MRI"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no .nii.gz or .nii files"):
        group([tmp_path / "empty"], ["MRI"])


def test_folders_below_keep_cases_apart_and_results_are_no_images(tmp_path):
    for name in ("sub-01/anat/T1.nii.gz", "sub-02/anat/T1.nii", "out/sub-01/anat/T1.nii.gz", ".hidden/x.nii.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = group([tmp_path], ["MRI"], outside=tmp_path / "out")
    assert list(found.cases) == ["sub-01/anat/T1", "sub-02/anat/T1"] and not found.problems
    twice = group([tmp_path / "sub-01/anat/T1.nii.gz", tmp_path / "sub-02/anat/T1.nii"], ["MRI"])
    assert list(twice.cases) == ["T1"] and "a second case called T1" in twice.problems[0]


def test_files_named_one_by_one(tmp_path):
    for name in ("x.nii.gz", "y.nii.gz"):
        (tmp_path / name).touch()
    inputs = [Path(f"{m}={tmp_path / f}") for m, f in (("t2", "y.nii.gz"), ("t1", "x.nii.gz"))]
    found = group(inputs, ["t1", "t2"])
    assert [path.name for path in next(iter(found.cases.values()))] == ["x.nii.gz", "y.nii.gz"]
    assert "t2 missing" in group(inputs[1:], ["t1", "t2"]).problems[0]
    with pytest.raises(UsageError, match="Two files are given as t1"):
        group([inputs[1], inputs[1]], ["t1", "t2"])


def test_a_pattern_says_where_the_modality_stands(tmp_path):
    for name in ("p1/flair.nii.gz", "p1/t1.nii.gz", "p2/t1.nii.gz", "p2/flair.nii.gz", "p2/notes.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = group([tmp_path], ["t1", "flair"], pattern="{case}/{modality}.nii.gz")
    assert names(found) == {"p1": ["t1.nii.gz", "flair.nii.gz"], "p2": ["t1.nii.gz", "flair.nii.gz"]}
    assert len(found.problems) == 1 and "does not fit the pattern" in found.problems[0]
    with pytest.raises(UsageError, match="needs {case} and {modality}"):
        group([tmp_path], ["t1", "flair"], pattern="{case}.nii.gz")


def test_a_4d_file_is_a_case_of_its_volumes(tmp_path):
    data = np.random.default_rng(0).normal(size=(5, 6, 7, 2)).astype(np.float32)
    nib.save(nib.Nifti1Image(data, np.diag([-1, -1, 2, 1])), tmp_path / "scan.nii.gz")
    found = group([tmp_path], ["t1", "t2"]).cases
    assert found == {"scan": [tmp_path / "scan.nii.gz[0]", tmp_path / "scan.nii.gz[1]"]}
    scan = read_scan(found["scan"])
    np.testing.assert_array_equal(scan.read(np.s_[:, :, :]), data[::-1, ::-1])
    assert scan.grid.shape == (5, 6, 7) and scan.spacing == (1, 1, 2)
    assert "2 volumes, the model takes 3" in group([tmp_path], ["t1", "t2", "flair"]).problems[0]
    with pytest.raises(DataError, match="at least 3 volumes"):
        read_scan([tmp_path / "scan.nii.gz[2]"])


@pytest.mark.parametrize("name, its_stem, its_suffix", [
    ("a.nii.gz", "a", ".nii.gz"), ("a.b.NII", "a.b", ".nii"), ("scan.zip", "scan", ".nii.gz"),
    ("scan.dcm", "scan", ".nii.gz"), ("a.NII.GZ", "a", ".nii.gz"), ("a.IMG", "a", ".nii.gz"), ("a.mha", "a", ".nii.gz"),
    ("folder", "folder", ".nii.gz")])
def test_results_are_called_as_images_are(tmp_path, name, its_stem, its_suffix):
    assert stem(tmp_path / name) == its_stem and suffix(tmp_path / name) == its_suffix


def test_images_of_a_folder_are_cases_of_a_network_of_slices(tmp_path):
    for name in ("a_0000.png", "b_0000.jpg"):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / name)
    found = group([tmp_path], ["R", "G", "B"], slices=True)
    assert not found.problems and {name: paths[2] for name, paths in found.cases.items()} == {
        "a": tmp_path / "a_0000.png[2]", "b": tmp_path / "b_0000.jpg[2]"}
    assert list(group([tmp_path], ["SEM"], slices=True).cases) == ["a_0000", "b_0000"]
    with pytest.raises(UsageError, match="There are no"):
        group([tmp_path], ["SEM"])
    (tmp_path / "c.nii.gz").touch()  # beside a volume, they are pictures
    found = group([tmp_path], ["SEM"], slices=True)
    assert list(found.cases) == ["c"] and len(found.left_out) == 2
