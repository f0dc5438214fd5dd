"""Label values keep their meaning from the check to the evaluation, whatever their size and the file's type."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from pocketnet.contracts.labels import Label
from pocketnet.contracts.plan import Preprocessing
from pocketnet.datasets import check, presets
from pocketnet.errors import DataError, UsageError
from pocketnet.evaluation.cases import read_pair
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.dataset import write_stores
from pocketnet.preprocessing.label_maps import map_labels
from pocketnet.preprocessing.store import open_stores

VALUES = {"cortex": 40000, "thalamus": 65537, "atlas id": 614454277, "largest": 2**31 - 1}


def labels(dtype, values=VALUES):
    data = np.zeros((8, 6, 4), dtype)
    for index, value in enumerate(values.values()):
        data[1 + index, 1:5, 1:3] = value
    return data


@pytest.fixture
def atlas(tmp_path):
    """Three cases in the decathlon's layout, whose label maps have three integer types."""
    folder = tmp_path / "atlas"
    entries = []
    for name, dtype in (("a", np.int32), ("b", np.uint32), ("c", np.int64)):
        entries.append({"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"})
        for path in entries[-1].values():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(len(entries)).uniform(1, 9, (8, 6, 4)).astype(np.float32)
        nib.save(nib.Nifti1Image(image, np.eye(4)), folder / entries[-1]["image"])
        nib.save(nib.Nifti1Image(labels(dtype), np.eye(4), dtype=dtype), folder / entries[-1]["label"])
    (folder / "dataset.json").write_text(json.dumps({
        "modality": {"0": "MRI"}, "labels": {"0": "background"} | {str(v): n for n, v in VALUES.items()},
        "training": entries, "numTraining": 3}))
    return folder


def test_large_values_survive_every_step(atlas, tmp_path):
    found = check.check(atlas, presets.load("decathlon"))
    assert not found.problems and {label.source_values[0] for label in found.manifest.labels} == set(VALUES.values())
    for case in found.fingerprint.cases.values():
        assert case.label_voxels == dict.fromkeys(VALUES, 8)
    write_stores(found.manifest.cases, found.manifest, atlas, Preprocessing("none", None, "zscore"),
                 tmp_path / "stores")
    expected = map_labels(labels(np.int64), found.manifest.labels)
    assert [int((expected == label.value).sum()) for label in found.manifest.labels] == [8] * 4
    for name, store in open_stores([tmp_path / "stores"]).items():
        np.testing.assert_array_equal(store.read_label((0, 0, 0), (8, 6, 4)), expected, err_msg=name)
        path = tmp_path / f"{name}.nii.gz"
        geometry.write_image(path, expected, geometry.Grid((8, 6, 4), np.eye(4)))
        reference, prediction, _ = read_pair(atlas / f"labelsTr/{name}.nii.gz", path, found.manifest.labels)
        np.testing.assert_array_equal(reference, prediction)


def test_a_prediction_is_not_taken_for_another_value(tmp_path):
    grid = geometry.Grid((8, 6, 4), np.eye(4))
    geometry.write_image(tmp_path / "reference.nii.gz", np.ones((8, 6, 4), np.uint8), grid)
    geometry.write_image(tmp_path / "predicted.nii.gz", np.full((8, 6, 4), 65537, np.int32), grid)
    with pytest.raises(DataError, match=r"not a class of the manifest: \[65537\]"):
        read_pair(tmp_path / "reference.nii.gz", tmp_path / "predicted.nii.gz", (Label("a", 1, (1,)),))


@pytest.mark.parametrize(("data", "words"), [
    (np.full((3, 3, 3), 614454277, np.float32), "larger than 16777216"), (np.full((3, 3, 3), 1e17), "larger than"),
    (np.full((3, 3, 3), 2**63, np.uint64), "larger than"), (np.full((3, 3, 3), np.inf, np.float32), "whole numbers")])
def test_a_value_that_its_type_does_not_hold_is_refused(tmp_path, data, words):
    nib.save(nib.Nifti1Image(data, np.eye(4), dtype=data.dtype), tmp_path / "label.nii.gz")
    with pytest.raises(DataError, match=words):
        geometry.read(tmp_path / "label.nii.gz", label=True)


def test_scaled_values_are_the_scaled_ones(tmp_path):
    made = nib.Nifti1Image(np.array([0, 5, 10], np.int16).reshape(3, 1, 1), np.eye(4))
    made.header.set_slope_inter(100, 0)
    header = made.header.copy()
    header["vox_offset"] = header.single_vox_offset
    header["magic"] = header.single_magic
    with open(tmp_path / "label.nii", "wb") as file:
        header.write_to(file)
        file.write(np.asarray(made.dataobj).tobytes(order="F"))
    assert geometry.read(tmp_path / "label.nii", label=True).data.ravel().tolist() == [0, 500, 1000]


def test_more_classes_than_a_map_holds_are_refused(atlas):
    many = {str(value): f"region {value}" for value in range(1, 300)}
    index = json.loads((atlas / "dataset.json").read_text())
    (atlas / "dataset.json").write_text(json.dumps(index | {"labels": {"0": "background"} | many}))
    with pytest.raises(UsageError, match="At most 255 classes"):
        check.check(atlas, presets.load("decathlon"))
    with pytest.raises(DataError, match="At most 255 classes"):
        map_labels(np.zeros((2, 2, 2)), [Label(str(value), value, (value,)) for value in range(1, 257)])
