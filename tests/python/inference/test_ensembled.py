"""Several networks as one: the same probabilities, one model folder, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from pocketnet import Predictor
from pocketnet.cli.ensemble import main
from pocketnet.preprocessing.scan import read_scan
from pocketnet.tracking.records import read_run
from pocketnet.training.model_folder import ModelFolder
from pocketnet.training.run import Choice, train


@pytest.fixture(scope="session")
def member(work):
    """Fold 0's network once more, with another seed."""
    plan = ModelFolder.open(work / "model").plan
    train(dataclasses.replace(plan, seed=plan.seed + 1), tiny.splits(), [work / "stores"],
          Choice("unet", "pocket", 0), work / "member2", work / "checkpoints")
    return work / "member2"


def run(*folders, output):
    arguments = [part for folder in folders for part in ("--model", str(folder))]
    return CliRunner().invoke(main, [*arguments, "-o", str(output), "--json"])


@pytest.fixture(scope="session")
def ensemble(work, member):
    outcome = run(work / "model", member, output=work / "ensemble")
    assert outcome.exit_code == 0, outcome.output
    return work / "ensemble"


def probabilities(folders, engine, scan):
    parts = []
    Predictor.load(folders, engine=engine).segment(scan, sink=lambda at, planes: parts.append(planes.copy()))
    return np.concatenate(parts, axis=2)


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_it_predicts_the_mean_of_its_members(work, member, ensemble, engine):
    scan = read_scan([work / "data" / f"case_0_{name}.nii.gz" for name in ("t1", "t2")])
    one, several, alone = (probabilities(folders, engine, scan)
                           for folders in (ensemble, [work / "model", member], work / "model"))
    np.testing.assert_allclose(one, several[..., : one.shape[-1]], atol=2e-5)
    assert np.abs(one - alone).max() > 0.01


def test_its_folder_tells_of_its_members(work, member, ensemble):
    whole, parts = ModelFolder.open(ensemble), [ModelFolder.open(work / "model"), ModelFolder.open(member)]
    for key in ("parameters", "steps"):
        assert getattr(whole.provenance, key) == sum(getattr(part.provenance, key) for part in parts)
    assert whole.provenance.run_key not in {part.provenance.run_key for part in parts}
    assert [json.loads((ensemble / f"member{n}.provenance.json").read_text())["seed"] for n in (1, 2)] == [7, 8]
    read = read_run([ensemble])
    assert not read.problems
    losses = [read_run([part.path]).models[0].history for part in parts]
    assert [row["loss"] for row in read.models[0].history] == pytest.approx(
        [(a["loss"] + b["loss"]) / 2 for a, b in zip(*losses, strict=True)])


def test_what_is_no_ensemble_is_refused(work, member, tmp_path):
    for folders, said in (([work / "model"], "at least 2"), ([work / "model"] * 2, "same training is given twice"),
                          ([work / "model", work / "model1"], "differ in fold")):
        outcome = run(*folders, output=tmp_path / "out")
        assert outcome.exit_code == 2
        assert said in outcome.output
        assert not (tmp_path / "out").exists()
