"""The demo's cases: the same bytes for a seed, real anatomy, no network."""

from __future__ import annotations

import hashlib
import json
import socket

import nibabel as nib
import numpy as np
import pytest
from pocketnet.datasets import demo
from pocketnet.errors import UsageError
from pocketnet.outputs import MARKER


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "demo"
    demo.make(folder, cases=3, seed=5)
    return folder


def contents(folder) -> dict:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MARKER}


def test_same_seed_same_bytes(made, tmp_path, monkeypatch):
    import time

    monkeypatch.setattr(time, "time", lambda: 1e9)  # a gzip header may hold the time of writing
    demo.make(tmp_path / "again", cases=3, seed=5)
    assert contents(made) == contents(tmp_path / "again")
    assert set(contents(made)) == {"dataset.json", *(f"{inner}/demo_00{n}.nii.gz" for n in (1, 2, 3)
                                                     for inner in ("imagesTr", "labelsTr"))}


def test_a_case_does_not_depend_on_how_many_there_are_and_a_seed_changes_all(made, tmp_path):
    demo.make(tmp_path / "one", cases=1, seed=5)
    demo.make(tmp_path / "other", cases=1, seed=6)
    image = "imagesTr/demo_001.nii.gz"
    assert contents(tmp_path / "one")[image] == contents(made)[image] != contents(tmp_path / "other")[image]


def test_images_and_labels(made):
    for number in (1, 2, 3):
        image = nib.load(made / f"imagesTr/demo_00{number}.nii.gz")
        label = nib.load(made / f"labelsTr/demo_00{number}.nii.gz")
        assert image.get_data_dtype() == np.int16 and label.get_data_dtype() == np.uint8
        assert image.shape == label.shape == demo.SHAPE
        assert np.array_equal(image.affine, label.affine) and nib.aff2axcodes(image.affine) == ("R", "A", "S")
        assert image.header.get_zooms() == (demo.SPACING_MM,) * 3
        voxels, classes = np.asarray(image.dataobj), np.asarray(label.dataobj)
        assert set(np.unique(classes)) == {0, 1, 2} and voxels.min() == 0
        assert (voxels[classes > 0] > 0).all()
        litres = (voxels > 0).sum() * demo.SPACING_MM ** 3 / 1e6
        assert 1.2 < litres < 3.0  # a brain; the template's own has 1.9 l
        assert voxels[classes == 2].mean() > 1.15 * voxels[classes == 1].mean()  # in T1 white is brighter


def test_cases_differ_in_anatomy(made):
    first, second = (np.asarray(nib.load(made / f"labelsTr/demo_00{n}.nii.gz").dataobj) for n in (1, 2))
    dice = 2 * ((first == 2) & (second == 2)).sum() / ((first == 2).sum() + (second == 2).sum())
    assert 0.2 < dice < 0.9


def test_dataset_json(made):
    index = json.loads((made / "dataset.json").read_text())
    assert index["modality"] == {"0": "T1"}
    assert index["labels"] == {"0": "background", "1": "grey matter", "2": "white matter"}
    assert index["numTraining"] == len(index["training"]) == 3


def test_no_network(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("the demo asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    demo.make(tmp_path / "demo", cases=1)


def test_an_earlier_demo_is_replaced_and_a_failure_leaves_it(made, tmp_path, monkeypatch):
    folder = tmp_path / "demo"
    demo.make(folder, cases=2)
    demo.make(folder, cases=1)
    before = contents(folder)
    assert len(before) == 3

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "nifti", fail)
    with pytest.raises(OSError, match="No space left"):
        demo.make(folder, cases=2)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_what_is_not_ours_is_not_replaced(tmp_path):
    (tmp_path / "a").write_text("file")
    with pytest.raises(UsageError, match="Expected a folder"):
        demo.make(tmp_path / "a")
    with pytest.raises(UsageError, match="not written by a pocket command"):
        demo.make(tmp_path)
