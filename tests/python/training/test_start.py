"""Starting from a trained network: pruned and trained on; what does not fit is refused."""

from dataclasses import replace
from types import SimpleNamespace

import checked
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from pocketnet import Predictor
from pocketnet.cli import plan as plan_command
from pocketnet.cli import prune as prune_command
from pocketnet.cli import train as train_command
from pocketnet.contracts.configuration import Configuration
from pocketnet.contracts.labels import Label
from pocketnet.contracts.plan import NetworkPlan
from pocketnet.contracts.provenance import Origin
from pocketnet.errors import UsageError
from pocketnet.models.build import build, load
from pocketnet.training.model_folder import ModelFolder
from pocketnet.training.start import Start


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


def checksum(folder):
    return ModelFolder.open(folder).sha256["model.keras"]


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
    assert pruned.provenance.start == Origin(source.run_key, "full", 4, "full", checksum(work / "full"), "balls")

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
    assert {path.name for path in (work / "full").glob("*.keras")} == {"model.keras", "last.keras"}
    run(prune_command.main, "--model", work / "full", "--width", "full", "--variant", "copy", "-o", work / "copy")
    for a, b in zip(*(load(work / name / "model.keras").get_weights() for name in ("full", "copy")), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_network_is_refused_before_a_step(work):
    done = train(work, "x", "--width", "pocket", "--start-from", work / "full", "--variant", "x", code=2)
    assert "full unet" in done.output and "prune it to that width" in done.output and not (work / "x").exists()
    for options in (["--variant", "x"], ["--freeze"]):
        done = train(work, "x", "--width", "pocket", *options, code=2)
        assert f"{options[0]} is only for networks that start from another" in done.output


def test_other_labels_and_data_start_from_it(work):
    """Four classes of another dataset: all layers but the last are taken, and keep their weights where frozen."""
    plan = tiny.plan(epochs=3)
    labels = (*(replace(label, name=f"other {label.name}") for label in plan.labels), Label("rare", 3, (7,)))
    replace(plan, dataset="other", labels=labels, network=replace(plan.network, classes=4)).write(work / "other.json")
    train(work, "tuned-others", "--plan", work / "other.json", "--width", "full", "--start-from", work / "full",
          "--freeze", "--epochs", "1", "--learning-rate", "0.0005")
    made = ModelFolder.open(work / "tuned-others")
    start = made.provenance.start
    assert (start.model, start.dataset, start.sha256) == ("full", "balls", checksum(work / "full"))
    assert start.left == ("logits",) and start.frozen and start.taken == 22 and made.provenance.width == "full"
    assert (made.plan.training.epochs, made.plan.training.learning_rate) == (1, 0.0005)
    before, after = (load(work / name / "last.keras") for name in ("full", "tuned-others"))
    source = load(work / "full" / "model.keras")
    for layer in source.layers:
        same = [np.array_equal(a, b) for a, b in zip(layer.get_weights(), after.get_layer(layer.name).get_weights(),
                                                     strict=True)] if layer.name != "logits" else []
        assert all(same), layer.name
    assert before.output.shape[-1] == 3 and after.output.shape[-1] == 4


def test_a_finished_training_goes_on_for_more_epochs(work):
    train(work, "continued", "--plan", work / "full" / "plan.json", "--width", "full", "--start-from", work / "full",
          "--epochs", "2")
    found = ModelFolder.open(work / "continued").provenance
    assert (found.steps, found.start.steps, found.total_steps) == (8, 4, 12) and found.start.left is None
    done = train(work, "x", "--plan", work / "full" / "plan.json", "--width", "full", "--start-from", work / "full",
                 "--freeze", code=2)
    assert "nothing to train" in done.output


def test_other_channels_take_all_but_the_first_layer(work):
    start = Start.open(work / "full")
    network = build(replace(tiny.plan().network, channels=1).network("unet", "full"))
    assert start.give_weights(network).left == ("encoder0_conv1",)


def test_a_plan_takes_the_structure_of_the_network_to_start_from(work):
    source = Start.open(work / "full")
    plan = tiny.plan(patch=[20, 16, 16])
    other = replace(plan, network=replace(plan.network, depth=1, pooling=((2, 2, 2),), feature_maps=8, norm="instance"))
    found = source.structured(other)
    assert found.network == tiny.plan().network and found.training.patch == (20, 16, 16)
    assert source.structured(replace(other, training=replace(other.training, patch=(22, 2, 16)))).training.patch == (
        20, 4, 16)


def test_another_number_of_dimensions_is_refused_when_planning(work, tmp_path):
    start = Start.open(work / "full")
    flat = tiny.plan().network.to_json() | {"dimensions": 2, "pooling": [[2, 2], [2, 2]]}
    with pytest.raises(UsageError, match="has 3 dimensions, the one to be trained 2") as caught:
        start.structured(replace(tiny.plan(), network=NetworkPlan.from_json(flat)))
    assert "Start from a network of 2 dimensions" in caught.value.todo

    chosen = Configuration("2d", "few slices far apart: median shape 200 × 200 × 9 voxels, spacing 1 × 1 × 10 mm")
    slices = replace(tiny.plan().network, kernel=(3, 3, 1), pooling=((2, 2, 1),) * 2)
    flat = replace(tiny.plan(patch=[16, 16, 1]), configuration=chosen, network=slices)
    with pytest.raises(UsageError, match="start from is 3D, the plan is 2D: few slices far apart") as caught:
        plan_command._started(work / "full", flat, edited=False)
    assert caught.value.todo == "Give --configuration 3d, or start from a network in 2D."
    with pytest.raises(UsageError, match="for segmentation, not for classification"):
        start.check(SimpleNamespace(task="classification", network=tiny.plan().network))


def test_slices_along_another_axis_are_refused(work):
    plan = tiny.plan()
    along_x, along_z = (replace(plan, network=replace(plan.network, kernel=kernel, pooling=(pooling,) * 2),
                                training=replace(plan.training, patch=patch))
                        for kernel, pooling, patch in (((1, 3, 3), (1, 2, 2), (1, 16, 16)),
                                                       ((3, 3, 1), (2, 2, 1), (16, 16, 1))))
    start = Start.open(work / "full")
    start = replace(start, model=replace(start.model, plan=along_x))
    start.check(along_x)
    with pytest.raises(UsageError, match="has slices along axis 0, the one to be trained along axis 2"):
        start.structured(along_z)


@pytest.mark.parametrize("option, value", [("--epochs", "0"), ("--learning-rate", "-1"), ("--learning-rate", "nan")])
def test_values_that_train_nothing_are_refused(work, option, value):
    assert f"{option} must be above 0" in train(work, "x", option, value, code=2).output
