"""`pocket-calibrate` on a made cross-validation, and what the report and MLflow's metrics have of it."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from fake_run import metrics, write_evaluation, write_model
from pocketnet.cli.calibrate import main
from pocketnet.contracts import features
from pocketnet.contracts.features import CaseFeatures, Recorded
from pocketnet.contracts.temperatures import Bin, LabelTemperature, Reliability, Temperatures
from pocketnet.errors import DataError
from pocketnet.inference.temperatures import FILE
from pocketnet.report import card, page
from pocketnet.report.content import context
from pocketnet.tracking.collect import calibration
from pocketnet.tracking.records import read_run
from pocketnet.training.model_folder import CALIBRATION, ModelFolder, write_checksums

RELIABILITY = Reliability(0.031, (Bin(0.1, 0.05, 900), Bin(0.9, 0.8, 400)))
BETTER = Reliability(0.012, (Bin(0.1, 0.09, 900), Bin(0.85, 0.84, 400)))


def write_features(folder, rows, predictions=1):
    """Features that tell the Dice, with noise."""
    found = {}
    for case, own in rows.groupby("case"):
        random = np.random.default_rng(sum(case.encode()))
        labels = {row.label: {"soft_dice": row.dice + random.normal(0, 0.003), "entropy": 1 - row.dice,
                              "volume": random.normal(0.5, 0.1)} for row in own.itertuples()}
        image = {"spacing_x": 0.0, "MRI: low": random.normal()}
        found[case] = Recorded("made", CaseFeatures(predictions, image, labels))
    features.write(folder / features.TABLE, found)


def write_run(root, cases=15, folds=3, predictions=(1, 1, 1)):
    for fold in range(folds):
        write_model(root / f"models/unet-pocket/fold{fold}", fold=fold)
        rows = metrics("pocket", fold, cases)
        write_evaluation(root / f"evaluation/unet-pocket/fold{fold}", rows)
        write_features(root / f"evaluation/unet-pocket/fold{fold}", rows, predictions[fold])
    return root


def calibrate(root, *more, code=0):
    ran = CliRunner().invoke(main, ["--models", str(root / "models"), "--evaluations", str(root / "evaluation"),
                                    "-o", str(root / "calibrated"), *more])
    assert ran.exit_code == code, ran.output
    return ran


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = write_run(tmp_path_factory.mktemp("run"))
    return root, calibrate(root, "--json", "--accept", "0.7")


def test_the_cases_of_all_folds_calibrate_the_network_of_each(run):
    root, ran = run
    said, = json.loads(ran.stdout)["calibrations"]
    assert said["cases"] == 45 and said["folds"] == [0, 1, 2] and said["accept"] == 0.7
    opened = [ModelFolder.open(root / f"calibrated/fold{fold}") for fold in range(3)]
    assert [model.calibration for model in opened] == [opened[0].calibration] * 3
    assert opened[0].sha256["model.keras"] == ModelFolder.open(root / "models/unet-pocket/fold0").sha256["model.keras"]
    held = opened[0].calibration.labels[0].held_out
    assert held.cases == 45 and 0.75 <= held.coverage <= 1 and held.correlation > 0.5 and 0 < held.gap < 0.03


def test_it_repeats_itself_and_calibrates_anew_what_it_calibrated(run, tmp_path):
    root, _ = run
    before = (root / "calibrated/fold1" / CALIBRATION).read_bytes()
    calibrate(root, "--accept", "0.7")
    assert (root / "calibrated/fold1" / CALIBRATION).read_bytes() == before
    ran = CliRunner().invoke(main, ["--models", str(root / "calibrated"), "--evaluations", str(root / "evaluation"),
                                    "-o", str(tmp_path / "again"), "--coverage", "0.8"])
    assert ran.exit_code == 0 and ModelFolder.open(tmp_path / "again/fold2").calibration.coverage == 0.8


def test_report_and_mlflow_show_coverage_and_risk(run):
    root, _ = run
    found = read_run([root / "calibrated"], [root / "evaluation"])
    values = context(found)
    text = page.render(values)
    assert "How far to trust each case" in text and "risk-Anterior.svg" in page.figure_files(values)
    held = found.models[0].calibration.labels[0].held_out
    assert f"{100 * held.coverage:.1f} %" in text
    logged = calibration(found.models)
    assert logged["statement_coverage/Anterior"] == held.coverage and "statement_gap/Posterior" in logged
    assert calibration([dataclasses.replace(found.models[0], calibration=None)]) == {}


def test_folds_that_decided_otherwise_on_mirroring_calibrate_apart(tmp_path):
    """One fold's validation cases can decide to average mirrored images, and another's not to."""
    root = write_run(tmp_path, cases=25, predictions=(1, 8, 1))
    said = json.loads(calibrate(root, "--json").stdout)["calibrations"]
    assert [(one["predictions"], one["folds"], one["cases"]) for one in said] == [(1, [0, 2], 50), (8, [1], 25)]
    opened = [ModelFolder.open(root / f"calibrated/fold{fold}").calibration for fold in range(3)]
    assert [one.predictions for one in opened] == [1, 8, 1] and opened[0] == opened[2] != opened[1]
    found = read_run([root / "calibrated"], [root / "evaluation"])
    text = page.render(context(found))
    assert "unet pocket, folds 0, 2" in text and "unet pocket, folds 1" in text
    assert calibration(found.models)["statement_coverage/Anterior"] == opened[0].labels[0].held_out.coverage


def test_report_card_and_mlflow_have_the_temperatures(run, tmp_path):
    models = []
    for fold in range(3):
        folder = shutil.copytree(run[0] / f"calibrated/fold{fold}", tmp_path / f"fold{fold}",
                                 ignore=shutil.ignore_patterns(".*"))
        names = [label.name for label in ModelFolder.open(folder).labels]
        keys = tuple(ModelFolder.open(run[0] / f"calibrated/fold{n}").provenance.run_key for n in range(3))
        Temperatures(keys, 1, 12, (LabelTemperature(names[0], 1.37, -0.21, 12, RELIABILITY, BETTER), *(
            LabelTemperature(name, None, None, 0, None, None) for name in names[1:]))).write(folder / FILE)
        write_checksums(folder)
        models.append(folder)
    found = read_run(models, [run[0] / "evaluation"])
    values = context(found)
    text = page.render(values)
    assert "Calibrated probabilities" in text and all(
        figure in text for figure in ("1.37", "-0.21", "0.0310", "0.0120"))
    assert "no validation case has the label" in text
    figures = page.figure_files(values)
    assert [name for name in figures if name.startswith("reliability")] == ["reliability-Anterior.svg"]
    logged = calibration(found.models)
    assert (logged["temperature/Anterior"], logged["ece/Anterior"], logged["ece_calibrated/Anterior"]) == (
        1.37, 0.031, 0.012) and "temperature/Posterior" not in logged
    said = card.card(found.models[0], None, None, card.Stated())
    assert "Calibrated on 45 test cases of 3 folds" in said
    assert "from 12 validation cases: Anterior 1.37 and -0.21 (calibration error 0.0310 before, 0.0120 after)." in said


def test_temperatures_need_splits_and_stores(run, tmp_path):
    ran = CliRunner().invoke(main, ["--models", str(run[0] / "models"), "--evaluations", str(run[0] / "evaluation"),
                                    "-o", str(tmp_path / "out"), "--stores", str(tmp_path)])
    assert ran.exit_code == 2 and "both --splits and --stores" in ran.stderr


def test_few_cases_are_said(tmp_path):
    ran = calibrate(write_run(tmp_path, cases=6))
    assert "Anterior: no bound, because 18 cases of at least 20 needed" in ran.stdout
    values = context(read_run([tmp_path / "calibrated"]))
    assert "no bound: at least 20 cases are needed" in page.render(values)


def test_an_evaluation_without_features_is_told(tmp_path):
    root = write_run(tmp_path, cases=2, folds=2)
    (root / "evaluation/unet-pocket/fold1/features.csv").unlink()
    ran = calibrate(root, code=3)
    assert "2 of 2 evaluated cases have no features" in ran.stderr and "pocket-infer --manifest" in ran.stderr
    assert not (root / "calibrated").exists()


def test_models_of_two_networks_and_evaluations_of_others_are_refused(tmp_path):
    root = write_run(tmp_path, cases=2, folds=1)
    write_model(root / "models/unet-full/fold1", width="full", fold=1)
    assert "not one network: their width differs" in calibrate(root, code=2).stderr
    other = write_run(tmp_path / "other", cases=2, folds=1)
    write_model(tmp_path / "third/fold7", fold=7)
    ran = CliRunner().invoke(main, ["--models", str(tmp_path / "third"), "--evaluations", str(other / "evaluation"),
                                    "-o", str(tmp_path / "out")])
    assert ran.exit_code == 2 and "None of the evaluations is of one of these models" in ran.stderr


def test_a_calibration_of_another_network_is_refused(run, tmp_path):
    folder = write_model(tmp_path / "model", fold=9)
    shutil.copy(run[0] / "calibrated/fold0" / CALIBRATION, folder)
    write_checksums(folder)
    with pytest.raises(DataError, match="another network"):
        ModelFolder.open(folder)
