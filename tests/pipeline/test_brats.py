"""The pipeline on real BraTS images, cut small: another layout than the demo's, two modalities, one batch of cases."""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from running import REPOSITORY, Pipeline

pytestmark = pytest.mark.slow
SIZE = (48, 40, 32)
NAME = "O'Brien's \"scans\" $(touch PLANTED) `touch PLANTED` ü"


@pytest.fixture(scope="module")
def small_brats(tmp_path_factory) -> Path:
    """The three BraTS 2015 cases, each cut to a block around its tumour, in their own orientation."""
    root = Path(os.environ.get("POCKET_TEST_DATA") or REPOSITORY.parent / "shared/data") / "BraTS2015_sample"
    if not root.is_dir():
        pytest.skip(f"no real images at {root} (set POCKET_TEST_DATA)")
    folder = tmp_path_factory.mktemp("brats")
    for case in sorted(path for path in root.iterdir() if path.is_dir()):
        (folder / case.name).mkdir()
        tumour = np.argwhere(np.asarray(nib.load(case / f"{case.name}_seg.nii.gz").dataobj) > 0).mean(axis=0)
        block = tuple(slice(int(c) - n // 2, int(c) - n // 2 + n) for c, n in zip(tumour, SIZE, strict=True))
        for path in sorted(case.iterdir()):
            nib.save(nib.load(path).slicer[block], folder / case.name / path.name)
    return folder


def test_predictions_lie_in_their_images_geometry_whatever_the_folders_are_called(clone, small_brats, tmp_path):
    """A fold from random weights, then another that starts from its network."""
    (tmp_path / NAME).mkdir()
    (tmp_path / "results").symlink_to(tmp_path / NAME)
    store = f"{NAME}'; touch PLANTED; echo '.db"
    options = ("-profile", "test", "--dataset", "brats", "--input", str(small_brats), "--modalities", "flair,t1ce",
               "--folds", "3", "--cases_per_task", "20", "--width", "pocket", "--skip_profile", "--outdir", NAME,
               "--mlflow_uri", f"sqlite:///{store}")
    statuses = Pipeline(clone, tmp_path, (*options, "--fold", "0")).finish()
    assert set(statuses.values()) == {"COMPLETED"} and sum(name.startswith("TRAIN") for name in statuses) == 1
    first = tmp_path / "results/brats/models/unet-pocket/fold0"
    again = Pipeline(clone, tmp_path, (*options, "--fold", "2", "--start_from", str(first), "--windows", "padded"))
    statuses = again.finish("-resume")
    assert [status for name, status in statuses.items() if name.startswith("PREPROCESS")] == ["CACHED"]
    assert [status for name, status in statuses.items() if name.startswith("TRAIN")] == ["COMPLETED"]
    before, after = (json.loads((first.with_name(name) / "provenance.json").read_text()) for name in ("fold0", "fold2"))
    assert after["start"]["run_key"] == before["run_key"] and after["start"]["taken"] > 0
    for one in (before, after):
        assert [label["label"] for label in one["decisions"]["postprocessing"]] == ["whole tumor"]
        assert "windows" not in one["decisions"]  # too few validation cases
    scripts = [path.read_text() for path in tmp_path.glob("work/*/*/.command.sh")]
    assert sum("pocket-infer" in text and "--windows=padded" in text for text in scripts) == 1
    predictions = sorted((tmp_path / "results/brats/predictions").rglob("*.nii.gz"))
    assert len(predictions) == 2
    for path in predictions:
        case = path.name.removesuffix(".nii.gz")
        image, found = nib.load(small_brats / case / f"{case}_flair.nii.gz"), nib.load(path)
        assert found.shape == image.shape and nib.aff2axcodes(found.affine) == nib.aff2axcodes(image.affine)
        np.testing.assert_array_equal(found.affine, image.affine)
    report = (tmp_path / "results/brats/report.html").read_text()
    assert "whole tumor" in report and "unet pocket" in report
    assert list((tmp_path / NAME / "brats/checkpoints").iterdir()) and (tmp_path / store).is_file()
    assert not list(tmp_path.rglob("PLANTED"))
