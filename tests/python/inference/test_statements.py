"""`pocket-infer` with a calibrated model: the statement in every place where it is written."""

from __future__ import annotations

import csv
import json

import checked
import pytest
from click.testing import CliRunner
from inference.calibrated import add_calibration
from PIL import Image
from pocketnet.cli.infer import main
from pocketnet.contracts import features
from pocketnet.evaluation.statement.apply import Statement
from pocketnet.preprocessing import geometry
from pocketnet.training.model_folder import CALIBRATION, ModelFolder


def infer(*arguments, code=0):
    ran = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout) if ran.stdout else {}, ran.stderr


def test_the_statement_is_in_json_log_table_and_picture(model, image, tmp_path):
    plain, _ = infer("--model", model, image, "-o", tmp_path / "plain")
    assert plain["cases"][0]["statement"] is None
    add_calibration(model)
    done, log = infer("--model", model, image, "-o", tmp_path / "out")
    (case,) = done["cases"]
    said = case["statement"]
    volume = case["volumes"]["Anterior"]["volume_ml"]
    assert said["labels"]["Anterior"] == {
        "expected_dice": pytest.approx(0.8), "dice_low": pytest.approx(0.7),
        "volume_ml": pytest.approx([volume * 0.904837, volume * 1.105171], rel=1e-5)}
    lines = Statement.of_json(said).lines()
    assert lines[1].startswith("Anterior: expected Dice 0.80, at least 0.70, volume ")
    assert f"hippocampus_190: {lines[0]}\n" + "".join(f"  {line}\n" for line in lines[1:]) in log
    with open(tmp_path / "out/volumes.csv", newline="") as handle:
        row = next(csv.DictReader(handle))
    assert (row["expected_dice"], row["dice_low"], row["flag"]) == ("0.8", "0.7", said["flag"])
    assert float(row["volume_low_ml"]) < volume < float(row["volume_high_ml"])
    heights = [Image.open(tmp_path / name / "hippocampus_190.png").height for name in ("plain", "out")]
    assert heights[1] > heights[0]
    before = (tmp_path / "out/volumes.csv").read_text()
    again, _ = infer("--model", model, image, "-o", tmp_path / "out")
    assert again["cases"][0]["skipped"] and (tmp_path / "out/volumes.csv").read_text() == before
    strict, log = infer("--model", model, image, "-o", tmp_path / "out", "--accept", "0.75")
    assert not strict["cases"][0]["skipped"] and strict["cases"][0]["statement"]["flag"] == "look"
    assert "Anterior: lower bound 0.70, below your 0.75" in log
    rejected, _ = infer("--model", model, image, "-o", tmp_path / "out", "--reject", "0.85")
    assert rejected["cases"][0]["statement"]["flag"] == "reject"


def test_what_a_calibration_does_not_cover_has_no_statement(model, image, tmp_path):
    _, log = infer("--model", model, image, "-o", tmp_path / "out", "--accept", "0.9", code=2)
    assert "need a calibrated model" in log and "pocket-calibrate adds one" in log
    add_calibration(model, predictions=8)
    done, _ = infer("--model", model, image, "-o", tmp_path / "out")
    assert done["cases"][0]["statement"] is None
    _, log = infer("--model", model, image, "-o", tmp_path / "other", "--accept", "0.9", code=2)
    assert "the calibration is of 8 averaged predictions per voxel, here are 1" in log


def test_the_table_of_features_belongs_to_the_label_maps(model, image, tmp_path):
    out = tmp_path / "out"
    infer("--model", model, image, "-o", out)
    assert not (out / features.TABLE).exists()
    done, _ = infer("--model", model, image, "-o", out, "--features")
    assert not done["cases"][0]["skipped"]  # the label map was there, its features were not
    found = features.read(out / features.TABLE)["hippocampus_190"]
    assert found.key == geometry.note_of(out / "hippocampus_190.nii.gz")
    assert found.features.predictions == 1 and set(found.features.labels) == {"Anterior", "Posterior part"}
    assert 0 < found.features.labels["Anterior"]["soft_dice"] <= 1
    done, _ = infer("--model", model, image, "-o", out, "--features")
    assert done["cases"][0]["skipped"]
    _, log = infer("--model", model, image, "-o", tmp_path / "one.nii.gz", "--features", code=2)
    assert "--features needs a folder" in log


def test_a_calibration_is_written_and_read(model):
    add_calibration(model)
    known = ModelFolder.open(model).calibration
    assert checked.read_json(model / CALIBRATION, "calibration")["accept"] == 0.6 and known.labels[0].dice.margin == 0.1
