"""Calibration by hand, and of probability maps beside predictions."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from fake_run import LABELS, PLAN, write_model
from pocketnet.cli.evaluate import main
from pocketnet.contracts.manifest import Manifest
from pocketnet.evaluation import calibration
from pocketnet.inference.results import SLOPE
from pocketnet.preprocessing import geometry
from sklearn.metrics import brier_score_loss


def test_values_computed_by_hand():
    # Three voxels at 0.9 of which one is false, two missed at 0, many ruled out.
    reference = np.array([1, 1, 0, 1, 1] + [0] * 95, bool)
    probability = np.array([0.9, 0.9, 0.9, 0, 0] + [0] * 95)
    found = calibration.measure(reference, probability)
    assert found.voxels == 5
    assert found.brier == pytest.approx((0.01 + 0.01 + 0.81 + 1 + 1) / 5)
    assert found.ece == pytest.approx((3 * abs(0.9 - 2 / 3) + 2 * 1) / 5)


def test_who_says_what_is_true_is_calibrated():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.001, 1, 200_000)
    reference = rng.random(probability.shape) < probability
    found = calibration.measure(reference, probability)
    assert found.ece < 0.01 and found.brier == pytest.approx(brier_score_loss(reference, probability))
    assert calibration.measure(reference, probability**4).ece > 0.2
    assert np.isnan(calibration.measure(np.zeros(3, bool), np.zeros(3)).ece)


@pytest.fixture
def predicted(tmp_path):
    """Two cases; the second has probability maps. A third of its voxels nobody annotated (value 9)."""
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[1:3, 1:5, 1:5], labels[3:5, 1:5, 1:5], labels[:, :, :2] = 1, 2, 9
    grid = geometry.Grid(labels.shape, np.diag([-1, -1, 2, 1]))
    certain = np.where(labels == 9, 0, labels).astype(np.uint8)
    for name in ("a", "b"):
        geometry.write_image(tmp_path / f"{name}.nii.gz", labels, grid)
        geometry.write_image(tmp_path / f"{name}_image.nii.gz", labels * 1.5, grid)
        geometry.write_image(tmp_path / "predictions" / f"{name}.nii.gz", certain, grid)
    for value in (1, 2):
        probability = np.where(certain == value, 204, 0).astype(np.uint8)
        probability[:, :, 0] = 100  # where nobody knows
        geometry.write_image(tmp_path / f"predictions/b_probability_{value}.nii.gz", probability, grid, slope=SLOPE)
    write_model(tmp_path / "model")
    Manifest.from_json({
        "dataset": "hippocampus", "layout": "decathlon", "dimensions": 3, "modalities": ["MRI"], "labels": LABELS,
        "ignore": 9, "preprocessing": PLAN["preprocessing"], "cases": [
            {"case": name, "images": [f"{name}_image.nii.gz"], "label": f"{name}.nii.gz", "sha256": {}}
            for name in ("a", "b")]}).write(tmp_path / "manifest.json")
    return tmp_path


def run(folder):
    return CliRunner().invoke(main, ["--manifest", str(folder / "manifest.json"), "--input", str(folder),
                                     "--predictions", str(folder / "predictions"), "--model", str(folder / "model"),
                                     "-o", str(folder / "out"), "--json"])


def test_probability_maps_are_evaluated(predicted):
    done = run(predicted)
    assert done.exit_code == 0, done.output
    with open(predicted / "out/calibration.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["case"], row["label"], row["voxels"]) for row in rows] == [
        ("b", label["name"], "24") for label in LABELS]
    assert [float(row["ece"]) for row in rows] == pytest.approx([0.2, 0.2], abs=1e-6)
    assert [float(row["brier"]) for row in rows] == pytest.approx([0.04, 0.04], abs=1e-6)
    assert json.loads(done.stdout)["mean"][LABELS[0]["name"]]["ece"] == pytest.approx(0.2)
    for path in (predicted / "predictions").glob("*probability*"):
        path.unlink()
    assert run(predicted).exit_code == 0 and not (predicted / "out/calibration.csv").exists()


def test_a_map_on_another_grid_is_named(predicted):
    moved = geometry.Grid((6, 6, 6), np.diag([-1, -1, 3, 1]))
    geometry.write_image(predicted / "predictions/b_probability_2.nii.gz", np.zeros((6, 6, 6), np.uint8), moved)
    done = run(predicted)
    assert done.exit_code == 3 and "b: " in done.output and "b_probability_2.nii.gz" in done.output
