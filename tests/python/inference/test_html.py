"""What the page knows of a model is what pocket-infer goes by."""

import json

import pytest
from click.testing import CliRunner
from inference.calibrated import add_calibration
from pocketnet import Predictor
from pocketnet.cli.export import main
from pocketnet.inference import html, memory
from pocketnet.training.model_folder import ModelFolder
from pocketnet.viewer import packages


def test_the_description_has_the_predictors_settings(hippocampus_model):
    folder = ModelFolder.open(hippocampus_model)
    found = html.description([folder, folder])
    assert json.loads(json.dumps(found, allow_nan=False))["modalities"] == list(folder.plan.modalities)
    assert [one["name"] for one in found["labels"]] == [label.name for label in folder.labels]
    assert found["predictions"] == 2 * len(found["mirrors"]) and len(found["networks"]) == 2
    assert found["statement"] == {"none": "several models are averaged, and a calibration is of one"}
    predictor = Predictor.load(hippocampus_model)
    assert set(found["operations"]) == set(predictor.operations)
    limits = found["windows"]["limits"]
    assert limits["activation_mib"] == pytest.approx(predictor._activation_mib)
    assert limits["window_voxels"] == memory.WINDOW_VOXELS


def test_a_calibration_goes_with_its_numbers(model):
    assert html.description([ModelFolder.open(model)])["statement"] == {
        "none": "the model folder has no calibration (pocket-calibrate adds one)"}
    found = html.description([ModelFolder.open(add_calibration(model))])["statement"]
    assert found["calibration"]["accept"] == 0.6 and found["limits"]["needed"] == 20


def test_what_cannot_be_written_is_refused(hippocampus_model, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "FILES", tmp_path / "none")
    ran = CliRunner().invoke(main, ["--model", str(hippocampus_model), "--html", str(tmp_path / "a.html")])
    assert ran.exit_code == 2 and "make viewer" in ran.stderr and not (tmp_path / "a.html").exists()
    ran = CliRunner().invoke(main, ["--model", str(hippocampus_model)])
    assert ran.exit_code == 2 and "Expected one output" in ran.stderr
    two = ["--model", str(hippocampus_model)] * 2
    ran = CliRunner().invoke(main, [*two, "-o", str(tmp_path / "folder")])
    assert ran.exit_code == 2 and "Only --html takes several models" in ran.stderr

