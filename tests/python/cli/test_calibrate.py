"""`pocket-calibrate` on a made cross-validation, and what the report and MLflow's metrics have of it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from fake_run import metrics, write_evaluation, write_model
from pocketnet.cli.calibrate import main
from pocketnet.contracts import features
from pocketnet.contracts.features import CaseFeatures, Recorded
from pocketnet.report import page
from pocketnet.report.content import context
from pocketnet.tracking.collect import calibration
from pocketnet.tracking.records import read_run
from pocketnet.training.model_folder import CALIBRATION, ModelFolder


def write_features(folder, rows):
    """Features that tell the Dice, with noise."""
    found = {}
    for case, own in rows.groupby("case"):
        random = np.random.default_rng(sum(case.encode()))
        labels = {row.label: {"soft_dice": row.dice + random.normal(0, 0.003), "entropy": 1 - row.dice,
                              "volume": random.normal(0.5, 0.1)} for row in own.itertuples()}
        found[case] = Recorded("made", CaseFeatures(1, {"spacing_x": 0.0, "MRI: low": random.normal()}, labels))
    features.write(folder / features.TABLE, found)


def write_run(root, cases=15, folds=3):
    for fold in range(folds):
        write_model(root / f"models/unet-pocket/fold{fold}", fold=fold)
        rows = metrics("pocket", fold, cases)
        write_evaluation(root / f"evaluation/unet-pocket/fold{fold}", rows)
        write_features(root / f"evaluation/unet-pocket/fold{fold}", rows)
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
    said = json.loads(ran.stdout)
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
    import shutil

    from pocketnet.errors import DataError
    from pocketnet.training.model_folder import write_checksums

    folder = write_model(tmp_path / "model", fold=9)
    shutil.copy(run[0] / "calibrated/fold0" / CALIBRATION, folder)
    write_checksums(folder)
    with pytest.raises(DataError, match="another network"):
        ModelFolder.open(folder)
