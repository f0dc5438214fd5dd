"""Starting from a trained network: pruned and trained on; what does not fit is refused."""

from dataclasses import replace

import checked
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from pocketnet import Predictor
from pocketnet.cli import prune as prune_command
from pocketnet.cli import train as train_command
from pocketnet.contracts.provenance import Origin
from pocketnet.models.build import build, load
from pocketnet.training.model_folder import ModelFolder


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Stores, plan, splits, and a trained full network."""
    from pocketnet.cli import preprocess

    folder = tmp_path_factory.mktemp("start")
    checked.write_json(folder / "manifest.json", tiny.dataset(folder / "data"), "manifest")
    checked.write_json(folder / "splits.json", tiny.splits(), "splits")
    plan = tiny.plan(epochs=1)
    replace(plan, inference=replace(plan.inference, largest_component="auto")).write(folder / "plan.json")
    run(preprocess.main, "--manifest", folder / "manifest.json", "--plan", folder / "plan.json",
        "--input", folder / "data", "-o", folder / "stores")
    train(folder, "full", "--width", "full")
    return folder


def run(command, *arguments, code=0):
    done = CliRunner().invoke(command, [str(argument) for argument in arguments] + ["--quiet"])
    assert done.exit_code == code, done.output
    return done


def train(folder, name, *more, code=0):
    return run(train_command.main, "--plan", folder / "plan.json", "--splits", folder / "splits.json", "--stores",
               folder / "stores", "--fold", "0", "--checkpoints", folder / "checkpoints", "-o", folder / name, *more,
               code=code)


def test_pruned_then_trained_on(work):
    run(prune_command.main, "--model", work / "full", "-o", work / "pruned")
    pruned = ModelFolder.open(work / "pruned")
    source = ModelFolder.open(work / "full").provenance
    pocket = build(tiny.plan().network.network("unet", "pocket"))
    assert pruned.provenance.parameters == pocket.count_params() < source.parameters
    assert pruned.provenance.width == "pruned" and pruned.provenance.steps == 0
    assert pruned.provenance.start == Origin(source.run_key, "full", 4)
    assert {path.name for path in (work / "full").glob("*.keras")} == {"model.keras", "last.keras"}

    train(work, "tuned", "--width", "pocket", "--start-from", work / "pruned", "--variant", "pruned-tuned")
    tuned = ModelFolder.open(work / "tuned").provenance
    assert (tuned.width, tuned.steps, tuned.start.steps) == ("pruned-tuned", 4, 4)
    assert tuned.start.run_key == pruned.provenance.run_key != tuned.run_key
    train(work, "pocket", "--width", "pocket")
    scratch = ModelFolder.open(work / "pocket").provenance
    assert scratch.start is None and scratch.run_key != tuned.run_key
    before, after = (load(work / name / "model.keras").get_weights() for name in ("pruned", "tuned"))
    assert any(np.abs(a - b).max() > 0 for a, b in zip(before, after, strict=True))


def test_postprocessing_is_decided_and_used(work):
    """The references are single balls with a core; what is chosen is recorded, and applied by the predictor."""
    found = ModelFolder.open(work / "full").provenance.decisions
    assert (found.references, found.predictions) == (3, 1)
    assert [one.label for one in found.postprocessing] == ["ball", "core"]
    assert all(one.dice_after >= one.dice_before for one in found.postprocessing)
    harms = [one.tried[0].harm for one in found.postprocessing]
    assert harms == [0.0, 0.0] and found.postprocessing[0].tried[0].dice is not None
    used = Predictor.load(work / "full").operations
    assert used == {label: one for label, one in found.operations().items() if one}


def test_pruned_to_its_own_width_is_the_same_network(work):
    run(prune_command.main, "--model", work / "full", "--width", "full", "--variant", "copy", "-o", work / "copy")
    for a, b in zip(*(load(work / name / "model.keras").get_weights() for name in ("full", "copy")), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_network_is_refused_before_a_step(work):
    done = train(work, "x", "--width", "pocket", "--start-from", work / "full", "--variant", "x", code=2)
    assert "full unet" in done.output and "prune it to that width" in done.output and not (work / "x").exists()
    done = train(work, "x", "--width", "pocket", "--start-from", work / "full", code=2)
    assert "given together" in done.output
