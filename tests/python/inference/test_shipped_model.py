"""The trained network in models/: whole, and as accurate as its rows in docs/results say."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pocketnet import Predictor
from pocketnet.evaluation.metrics import dice
from pocketnet.inference import statements

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = REPOSITORY / "models/hippocampus/fold1"
CASES = 3


def test_it_segments_its_test_cases_as_reported(hippocampus_data):
    run_key = json.loads((FOLDER / "provenance.json").read_text())["run_key"]
    with open(REPOSITORY / "docs/results/hippocampus-best-members/metrics.csv", newline="") as handle:
        reported = {(row["case"], row["label"]): float(row["dice"]) for row in csv.DictReader(handle)
                    if row["run_key"] == run_key}
    assert len(reported) == 2 * 46
    predictor = Predictor.load(FOLDER, windows="plan")
    for case in sorted({case for case, _ in reported})[:CASES]:
        found = np.asarray(predictor(nib.load(hippocampus_data / f"imagesTr/{case}.nii.gz")).dataobj)
        reference = np.asarray(nib.load(hippocampus_data / f"labelsTr/{case}.nii.gz").dataobj)
        for label in predictor.model.labels:
            assert dice(reference == label.value, found == label.value) == pytest.approx(
                reported[case, label.name], abs=0.005)
    known = statements.calibration_of(predictor)
    assert known.run_keys == (run_key,) and known.cases == 46 and all(one.dice.margin for one in known.labels)
