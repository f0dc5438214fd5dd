"""A training stopped in any way and run again ends with the weights of one that was not, to the bit."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import checked
import numpy as np
import pytest
import tiny
from pocketnet.errors import DataError
from pocketnet.outputs import MARKER
from pocketnet.training.model_folder import ModelFolder
from rewording import reworded_package


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Stores, plan, splits and an undisturbed training of fold 0."""
    folder = tmp_path_factory.mktemp("training")
    checked.write_json(folder / "manifest.json", tiny.dataset(folder / "data"), "manifest")
    checked.write_json(folder / "splits.json", tiny.splits(), "splits")
    tiny.plan(epochs=4, steps_per_epoch=10).write(folder / "plan.json")
    step("preprocess", "--manifest", "manifest.json", "--plan", "plan.json", "--input", "data", "-o", "stores",
         cwd=folder)
    train(folder, "undisturbed")
    return folder


def step(name, *arguments, cwd, code=0, **options):
    """Run a command as its users do, in a process of its own."""
    ran = subprocess.run([sys.executable, "-m", f"pocketnet.cli.{name}", *arguments], cwd=cwd, text=True,
                         capture_output=True, **options)
    assert ran.returncode == code, ran.stderr
    return ran


def training_arguments(name):
    return ["--plan", "plan.json", "--splits", "splits.json", "--stores", "stores", "--fold", "0", "--threads", "1",
            "--checkpoints", f"checkpoints-{name}", "--checkpoint-seconds", "0", "-o", f"model-{name}"]


def train(folder, name, *more, code=0):
    return step("train", *training_arguments(name), *more, cwd=folder, code=code)


def weights(folder, name):
    from pocketnet.models.build import load

    return {file: load(folder / f"model-{name}" / file).get_weights() for file in ("model.keras", "last.keras")}


def assert_same_weights(folder, name):
    expected, found = weights(folder, "undisturbed"), weights(folder, name)
    for file in expected:
        for a, b in zip(expected[file], found[file], strict=True):
            np.testing.assert_array_equal(a, b)
    rows = [history(folder, n) for n in ("undisturbed", name)]
    for row in rows[0] + rows[1]:
        row.pop("seconds")
    assert rows[0] == rows[1]


def history(folder, name):
    with open(folder / f"model-{name}" / "history.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def attempts(folder, name):
    return ModelFolder.open(folder / f"model-{name}").provenance.attempts


def test_the_energy_of_a_training_is_recorded_and_is_no_part_of_what_defines_it(work):
    run = ModelFolder.open(work / "model-undisturbed").provenance
    [attempt] = run.attempts
    assert run.energy == attempt.energy and run.energy.kwh > 0 and run.energy.gpu is None
    if run.energy.processor == "estimated":  # a machine of 2 to 100 cores, for as long as the training took
        assert 0.1 < run.energy.kwh * 3.6e6 / run.energy.watts_per_core / run.wall_seconds < 100
    shutil.copytree(work / "checkpoints-undisturbed", work / "checkpoints-watts")
    train(work, "watts", "--watts-per-core", "3.5")  # finds its checkpoint: there is nothing left to train
    assert ModelFolder.open(work / "model-watts").provenance.run_key == run.run_key
    assert attempts(work, "watts") == run.attempts


def test_the_network_after_the_last_step_ships_where_the_plan_says_so(work):
    from pocketnet.models.build import load

    tiny.plan(epochs=4, steps_per_epoch=10, checkpoint="last").write(work / "plan-last.json")
    step("train", *training_arguments("ships-last"), "--plan", "plan-last.json", cwd=work)
    made, other = work / "model-ships-last", weights(work, "undisturbed")
    for name, expected in (("model.keras", other["last.keras"]), ("best.keras", other["model.keras"])):
        for a, b in zip(expected, load(made / name).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not (made / "last.keras").exists()
    assert ModelFolder.open(made).provenance.validation_loss == pytest.approx(
        float(history(work, "ships-last")[-1]["validation_loss"]))


def test_model_folder_is_whole_and_checked(work, tmp_path):
    model = ModelFolder.open(work / "model-undisturbed")
    names = {p.name for p in model.path.iterdir()} - {MARKER}
    assert names == {"model.keras", "last.keras", "model.xml", "model.bin", "plan.json", "labels.json", "history.csv",
                     "system.csv", "provenance.json", "checksums.json"}
    assert model.provenance.steps == 40 and model.provenance.attempts[0].ended == "finished"
    rows = history(work, "undisturbed")
    assert [int(row["step"]) for row in rows] == [10, 20, 30, 40]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in model.path.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "model.keras").write_bytes(b"other")
    (copy / "history.csv").unlink()
    with pytest.raises(DataError) as caught:
        ModelFolder.open(copy)
    assert len(caught.value.problems) == 2


def kill_at(work, name, tens, number):
    """Train, and send a signal when a checkpoint of step `tens`0 or soon after is there; the exit code."""
    process = subprocess.Popen([sys.executable, "-m", "pocketnet.cli.train", *training_arguments(name)], cwd=work,
                               stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 1800  # on a slow and busy machine
    while not list(work.glob(f"checkpoints-{name}/*/step-000000{tens}*.npz")):
        assert process.poll() is None and time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.005)
    os.kill(process.pid, number)
    return process.wait()


def test_killed_terminated_and_run_again(work):
    assert kill_at(work, "ended", 1, signal.SIGKILL) == -signal.SIGKILL
    assert kill_at(work, "ended", 2, signal.SIGTERM) == 75
    assert not (work / "model-ended").exists()
    newest = sorted(work.glob("checkpoints-ended/*/step-*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])  # torn: the one before is used
    ran = train(work, "ended")
    assert "not a whole checkpoint" in ran.stderr
    assert_same_weights(work, "ended")
    first, second, third = attempts(work, "ended")
    assert first.ended == "killed" and first.last_step >= 10 and second.first_step == first.last_step + 1
    assert 20 <= second.last_step + 1 == third.first_step == int(newest.stem.split("-")[1]) and third.last_step == 40


@pytest.fixture(scope="module")
def stopped(work):
    """Stops a training by its time limit; the folder of its checkpoints."""
    ran = train(work, "stopped", "--time-limit", "0.01", code=75)
    assert "time limit" in ran.stderr and "Run the same command again" in ran.stderr
    return work / "checkpoints-stopped"


def test_code_in_other_words_goes_on_from_the_checkpoint_of_a_time_limit(work, stopped, tmp_path):
    shutil.copytree(stopped, work / "checkpoints-limited")
    step("train", *training_arguments("limited"), cwd=work,
         env=os.environ | {"PYTHONPATH": str(reworded_package(tmp_path))})
    assert_same_weights(work, "limited")
    assert [a.ended for a in attempts(work, "limited")] == ["stopped", "finished"]


def test_finished_training_is_not_repeated(work):
    ran = train(work, "undisturbed")
    assert "after step 40 of 40" in ran.stderr and len(attempts(work, "undisturbed")) == 1


def test_missing_stores_are_all_named(work, tmp_path):
    ran = step("train", *training_arguments("x")[:-1], str(tmp_path / "model"), "--stores", "stores/case_2",
               cwd=work, code=3)
    assert "Two stores" in ran.stderr
    arguments = training_arguments("x")
    arguments[arguments.index("stores")] = "stores/case_2"
    ran = step("train", *arguments, cwd=work, code=3)
    assert "case_3" in ran.stderr and "case_5" in ran.stderr and not (work / "model-x").exists()


def test_begun_on_one_device_goes_on_with_two(work, stopped):
    shutil.copytree(stopped, work / "checkpoints-grown")
    ran = train(work, "grown", "--logical-cpus", "2")
    assert "on 2 devices" in ran.stderr
    first, second = attempts(work, "grown")
    assert (first.devices, second.devices) == (1, 2) and second.first_step == first.last_step + 1
    for ours, theirs in zip(history(work, "grown"), history(work, "undisturbed"), strict=True):
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-3)


@pytest.mark.parametrize("change, message", [(["--fold", "7"], "no fold 7"), (["--width", "wide"], "Unknown width"),
                                             (["--arch", "vnet"], "Unknown architecture"),
                                             (["--gpus", "2"], "2 GPUs were requested; tensorflow sees 0"),
                                             (["--logical-cpus", "3"], "Use a batch of 3 (--batch")])
def test_wrong_usage(work, change, message):
    assert message in step("train", *training_arguments("x"), *change, cwd=work, code=2).stderr
