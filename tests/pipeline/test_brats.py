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
    """A fold from random weights in 2D and in 3D, then another that starts from the 3D network."""
    (tmp_path / NAME).mkdir()
    (tmp_path / "results").symlink_to(tmp_path / NAME)
    store = f"{NAME}'; touch PLANTED; echo '.db"
    options = ("-profile", "test", "--dataset", "brats", "--input", str(small_brats), "--modalities", "flair,t1ce",
               "--folds", "3", "--cases_per_task", "20", "--width", "pocket", "--skip_profile", "--outdir", NAME,
               "--mlflow_uri", f"sqlite:///{store}")
    statuses = Pipeline(clone, tmp_path, (*options, "--fold", "0", "--configuration", "2d,3d")).finish()
    assert set(statuses.values()) == {"COMPLETED"}
    assert {name for name in statuses if name.startswith("TRAIN")} == {
        f"TRAIN (unet-pocket-{name}-fold0)" for name in ("2d", "3d")}
    check_the_choice(tmp_path / "results/brats")
    first = tmp_path / "results/brats/models/unet-pocket-3d/fold0"
    again = Pipeline(clone, tmp_path, (*options, "--fold", "2", "--start_from", str(first), "--windows", "padded"))
    statuses = again.finish("-resume")
    assert [status for name, status in statuses.items() if name.startswith("PREPROCESS")] == ["CACHED"]
    assert [status for name, status in statuses.items() if name.startswith("TRAIN")] == ["COMPLETED"]
    before, after = (json.loads((tmp_path / f"results/brats/models/{name}/provenance.json").read_text())
                     for name in ("unet-pocket-3d/fold0", "unet-pocket/fold2"))
    assert after["start"]["run_key"] == before["run_key"] and after["start"]["taken"] > 0
    for one in (before, after):
        assert [label["label"] for label in one["decisions"]["postprocessing"]] == ["whole tumor"]
        assert "windows" not in one["decisions"]  # too few validation cases
    scripts = [path.read_text() for path in tmp_path.glob("work/*/*/.command.sh")]
    assert sum("pocket-infer" in text and "--windows=padded" in text for text in scripts) == 1
    predictions = sorted((tmp_path / "results/brats/predictions").rglob("*.nii.gz"))
    assert len(predictions) == 3
    for path in predictions:
        case = path.name.removesuffix(".nii.gz")
        image, found = nib.load(small_brats / case / f"{case}_flair.nii.gz"), nib.load(path)
        assert found.shape == image.shape and nib.aff2axcodes(found.affine) == nib.aff2axcodes(image.affine)
        np.testing.assert_array_equal(found.affine, image.affine)
    report = (tmp_path / "results/brats/report.html").read_text()
    assert "whole tumor" in report and "unet pocket" in report
    assert list((tmp_path / NAME / "brats/checkpoints").iterdir()) and (tmp_path / store).is_file()
    assert not list(tmp_path.rglob("PLANTED"))


def check_the_choice(results: Path) -> None:
    """Each network was trained by its own plan, and the one with the higher validation Dice was chosen."""
    [choice] = json.loads((results / "comparison/comparison.json").read_text())["configurations"]
    measured = {}
    for name, depth in (("2d", 1), ("3d", 16)):
        folder = results / f"models/unet-pocket-{name}/fold0"
        plan = json.loads((folder / "plan.json").read_text())
        assert plan["configuration"]["name"] == name and plan["training"]["patch"] == [16, 16, depth]
        [case] = json.loads((folder / "provenance.json").read_text())["decisions"]["validation"]
        measured[name] = case["dice"]
    assert {one["name"]: one["dice"] for one in choice["results"]} == pytest.approx(measured, abs=1e-6)
    assert choice["chosen"] == max(measured, key=lambda name: (measured[name], name)) and choice["cases"] == 1
    rows = {row["width"] for row in json.loads((results / "comparison/comparison.json").read_text())["networks"]}
    assert rows == {"pocket-2d", "pocket-3d"}
    assert f"{choice['chosen'].upper()} is used" in (results / "report.html").read_text()
