"""Every preset, on a public layout made small, through all steps: from the check to the report.

The commands run in this process, so that TensorFlow starts once. `tests/pipeline` runs the demo, BraTS, the X-rays
and a preset of one's own through Nextflow.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from commands import succeed
from public_layouts import MAKERS

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = ("--recipe", "quick", "--epochs", "1", "--steps-per-epoch", "2")


def run(real_data: Path, folder: Path, layout: str, arch: str, *sizes: str) -> Path:
    """Take a layout through all steps with one network and fold, as the pipeline does; its results."""
    data, out = folder / "data", folder / "out"
    data.mkdir()
    options = MAKERS[layout](real_data, data)
    dataset = ("--manifest", out / "manifest.json", "--input", data)
    network = f"{arch}-pocket/fold0"
    succeed("check", *options, "--input", data, "--folds", 3, "-o", out)
    succeed("plan", *dataset[:2], "--fingerprint", out / "fingerprint.json", "--folds", 3, *TINY, *sizes, "-o", out)
    if arch != "classifier":
        succeed("picture", *dataset, "--fingerprint", out / "fingerprint.json", "-o", out / "overview.png")
    succeed("preprocess", *dataset, "--plan", out / "plan.json", "-o", out / "stores")
    succeed("train", "--plan", out / "plan.json", "--splits", out / "splits.json", "--stores", out / "stores",
            "--fold", 0, "--arch", arch, "--width", "pocket", "--checkpoints", out / "checkpoints",
            "-o", out / "models" / network)
    fold = json.loads((out / "splits.json").read_text())["folds"][0]
    whole = json.loads((out / "manifest.json").read_text())
    test = whole | {"cases": [entry for entry in whole["cases"] if entry["case"] in fold["test"]]}
    (out / "test.json").write_text(json.dumps(test))  # as the pipeline gives them to the steps after training
    tested = ("--manifest", out / "test.json", "--input", data, "--model", out / "models" / network)
    succeed("infer", *tested, "-o", out / "predictions")
    succeed("evaluate", *tested, "--predictions", out / "predictions", "-o", out / "evaluation" / network)
    succeed("compare", out / "evaluation" / network / "metrics.csv", "-o", out / "comparison")
    succeed("report", "--comparison", out / "comparison", "--models", out / "models",
            "--evaluations", out / "evaluation", "-o", out / "report.html")
    assert (out / "report.html").stat().st_size > 10_000
    return out


@pytest.mark.parametrize("layout, spacing", [
    ("hippocampus", None), ("nnunet", [1, 1, 1]), ("nnunet_regions", [1, 1, 1]), ("decathlon", [1, 1, 1]),
    ("brats_2020", None), ("brats_2021", None), ("brats_2023", None), ("folders", [1, 1, 1]), ("csv_table", [1, 1, 1]),
    ("lits", [3, 3, 5.1]), ("nfbs", None)])
def test_a_preset_of_volumes(real_data, tmp_path, layout, spacing):
    out = run(real_data, tmp_path, layout, "unet", "--patch", "8", "--batch", "1")
    manifest, plan = (json.loads((out / f"{name}.json").read_text()) for name in ("test", "plan"))
    assert plan["dataset"] == layout.split("_")[0]
    assert plan["preprocessing"]["spacing_mm"] == (spacing and pytest.approx(spacing))
    assert manifest["cases"]
    for entry in manifest["cases"]:
        name = entry["images"][0].split("[")[0]
        image = nib.load(tmp_path / "data" / name)
        found = nib.load(out / f"predictions/{entry['case']}.{name.partition('.')[2]}")  # called as its image is
        assert found.shape == image.shape[:3]
        np.testing.assert_allclose(found.affine, image.affine)


def test_a_preset_of_pictures(real_data, tmp_path):
    out = run(real_data, tmp_path, "covidx", "classifier", "--patch", "64", "--batch", "8")
    (fold,) = json.loads((out / "splits.json").read_text())["folds"]
    listed = {Path(line.split()[1]).stem for line in (tmp_path / "data/test.txt").read_text().splitlines()}
    with open(out / "predictions/predictions.csv", newline="") as handle:
        predicted = {row["case"] for row in csv.DictReader(handle)}
    assert predicted == set(fold["test"]) == listed and len(fold["validation"]) == 2  # a tenth of 18
    comparison = json.loads((out / "comparison/comparison.json").read_text())
    assert any("COVIDx mixes sources" in note for note in comparison["notes"])


def test_no_preset_is_forgotten():
    """The demo's and the X-rays' are run by `tests/pipeline`; BIDS gives nnU-Net's stores (`test_bids.py`)."""
    presets = json.loads((REPOSITORY / "conf/datasets.json").read_text())
    assert {layout.split("_")[0] for layout in MAKERS} | {"demo", "chestxray", "bids"} == set(presets)
