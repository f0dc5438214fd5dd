"""Fixtures that the tests of several rooms use: real images, small enough to be quick."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images: `$POCKET_TEST_DATA`, else `../shared/data` beside the clone."""
    folder = Path(os.environ.get("POCKET_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder} (set POCKET_TEST_DATA)")
    return folder


def real_folder(root: Path, name: str) -> Path:
    """One dataset of the real images; skips where it is absent."""
    if not (root / name).is_dir():
        pytest.skip(f"no {name} at {root}")
    return root / name


@pytest.fixture(scope="session")
def hippocampus_data(real_data) -> Path:
    """All 230 cases of MSD Task04, read-only."""
    return real_folder(real_data, "Task04_Hippocampus")


@pytest.fixture(scope="session")
def brats_data(real_data) -> Path:
    """The three BraTS 2015 cases, read-only."""
    return real_folder(real_data, "BraTS2015_sample")


@pytest.fixture(scope="session")
def xray_data(real_data) -> Path:
    """400 chest X-rays with their table, read-only."""
    return real_folder(real_data, "ChestXray_covid")


@pytest.fixture
def hippocampus(hippocampus_data, tmp_path) -> Path:
    """A copy of the first 14 hippocampus cases in the decathlon layout, for a test to spoil."""
    index = json.loads((hippocampus_data / "dataset.json").read_text())
    index["training"] = index["training"][:14]
    index["numTraining"] = len(index["training"])
    folder = tmp_path / "hippocampus"
    for inner in ("imagesTr", "labelsTr"):
        (folder / inner).mkdir(parents=True)
    for entry in index["training"]:
        for path in (entry["image"], entry["label"]):
            shutil.copyfile(hippocampus_data / path, folder / path)
    (folder / "dataset.json").write_text(json.dumps(index))
    return folder


@pytest.fixture(scope="session")
def small_brats(brats_data, tmp_path_factory) -> Path:
    """The BraTS cases cut to a block around the tumour (every file; orientation and types as they are)."""
    import nibabel as nib
    import numpy as np

    folder = tmp_path_factory.mktemp("brats")
    for case in sorted(brats_data.iterdir()):
        (folder / case.name).mkdir()
        label = np.asarray(nib.load(case / f"{case.name}_seg.nii.gz").dataobj)
        middle = np.argwhere(label > 0).mean(axis=0).astype(int)
        block = tuple(slice(m - half, m + half) for m, half in zip(middle, (24, 20, 16), strict=True))
        for path in sorted(case.iterdir()):
            nib.save(nib.load(path).slicer[block], folder / case.name / path.name)
    return folder


@pytest.fixture
def brats(small_brats, tmp_path) -> Path:
    """A copy of `small_brats`, for a test to spoil."""
    return Path(shutil.copytree(small_brats, tmp_path / "brats"))
