"""A training on several nodes: two processes on this machine that share every batch give what one gives."""

import csv
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import checked
import pytest
import tiny
from pocketnet.errors import UsageError, WorkerLost
from pocketnet.training.chain import first_broken
from pocketnet.training.model_folder import ModelFolder
from pocketnet.training.workers import FIRST_PORT, Workers, meet
from several import of_workers, tf_config

BOUND_SECONDS = 180  # for the end of the others after a worker is lost, on a slow and busy machine


def test_workers_of_tf_config_and_of_slurm():
    config = {"TF_CONFIG": tf_config(["a:1", "b:2"], 1), "SLURM_STEP_NODELIST": "other"}
    assert Workers.of(config, 2) == Workers(("a:1", "b:2"), 1)
    step = {"SLURM_STEP_NODELIST": "n[09-10],gpu3", "SLURM_STEP_NUM_TASKS": "3", "SLURM_PROCID": "2",
            "SLURM_JOB_ID": "20007"}
    ports = [FIRST_PORT + 7 + index for index in range(3)]
    assert Workers.of(step, 3) == Workers((f"n09:{ports[0]}", f"n10:{ports[1]}", f"gpu3:{ports[2]}"), 2)
    with pytest.raises(UsageError, match="6 tasks on 3 nodes"):
        Workers.of(step | {"SLURM_STEP_NUM_TASKS": "6"}, 3)


@pytest.mark.parametrize("config, message", [
    (None, "nothing says where they are"), ("{", "does not describe"), ("[]", "does not describe"),
    (tf_config(["a:1", "b:2"], 2), "does not describe"), (tf_config(["a:1"], 0, "chief"), "does not describe"),
    (tf_config(["a:1", "b:2", "c:3"], 2), "--nodes is 2, but TF_CONFIG has 3 tasks")])
def test_unknown_workers_are_refused(config, message):
    with pytest.raises(UsageError, match=message):
        Workers.of({} if config is None else {"TF_CONFIG": config}, 2)


@pytest.fixture
def addresses():
    return tuple(of_workers(3))


def test_workers_meet_whoever_comes_first(addresses):
    met = []

    def arrive(index):
        meet(Workers(addresses, index), 60)
        met.append(index)

    threads = [threading.Thread(target=arrive, args=(index,)) for index in (1, 0, 2)]
    for thread in threads[:2]:
        thread.start()
    time.sleep(1)
    assert not met  # worker 2 is missing
    threads[2].start()
    for thread in threads:
        thread.join()
    assert sorted(met) == [0, 1, 2]


def test_missing_workers_are_named_and_a_port_in_use(addresses):
    for index, missing in ((0, f"{addresses[1]}, {addresses[2]}"), (2, addresses[0])):
        with pytest.raises(WorkerLost, match="within 1 s") as caught:
            meet(Workers(addresses, index), 1)
        assert caught.value.where == missing and caught.value.exit_code == 104
    with socket.create_server(("", int(addresses[1].split(":")[1]))), pytest.raises(WorkerLost, match="cannot be used"):
        meet(Workers(addresses, 1), 1)


class Run:
    """A folder with a tiny dataset, and trainings in it."""

    def __init__(self, folder):
        self.folder = folder
        checked.write_json(folder / "manifest.json", tiny.dataset(folder / "data"), "manifest")
        checked.write_json(folder / "splits.json", tiny.splits(), "splits")
        # Adam turns gradients of rounding errors into whole steps, so small steps keep two sums in another order close.
        plan = tiny.plan(depth=1, epochs=3, steps_per_epoch=5, learning_rate=0.001)
        # Batch normalisation cancels the biases before it, so that rounding decides on Adam's steps for them; their
        # moving means follow late, and show it in the validation loss.
        replace(plan, network=replace(plan.network, norm="instance")).write(folder / "plan.json")
        self.command("preprocess", "--manifest", "manifest.json", "--plan", "plan.json", "--input", "data",
                     "-o", "stores").wait()

    def command(self, name, *arguments, **environment):
        return subprocess.Popen([sys.executable, "-m", f"pocketnet.cli.{name}", *arguments], cwd=self.folder, text=True,
                                stderr=subprocess.PIPE, env=os.environ | environment)

    def train(self, name, *more, **environment):
        return self.command(
            "train", "--plan", "plan.json", "--splits", "splits.json", "--stores", "stores", "--threads", "1",
            "--checkpoints", f"checkpoints-{name}", "--checkpoint-seconds", "0", "-o", f"model-{name}", *more,
            **environment)

    def on_two_nodes(self, *of_the_second):
        addresses = of_workers(2)
        return [self.train("nodes", "--nodes", "2", *more, TF_CONFIG=tf_config(addresses, index))
                for index, more in enumerate(((), of_the_second))]

    def until_step(self, step, processes):
        """Wait for the checkpoint of a step or of a later one."""
        def newest():
            return max((int(path.stem[-8:]) for path in self.folder.glob("checkpoints-nodes/*/step-*.npz")), default=0)

        while newest() < step:
            assert all(process.poll() is None for process in processes), "it ended before"
            time.sleep(0.05)

    def history(self, name):
        with open(self.folder / f"model-{name}" / "history.csv", newline="") as handle:
            return [{column: float(value) for column, value in row.items() if column != "seconds"}
                    for row in csv.DictReader(handle)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("nodes"))


def ended(processes):
    """What the processes write to standard error, when all have ended."""
    return [process.communicate()[1] for process in processes]


def test_two_nodes_stop_together_survive_a_loss_and_train_as_one(run):
    one = run.train("one")
    assert one.wait() == 0, one.stderr.read()

    both = run.on_two_nodes()
    run.until_step(2, both)
    both[1].send_signal(signal.SIGTERM)
    said = ended(both)
    assert [process.returncode for process in both] == [75, 75], said
    assert "on 2 devices of 2 nodes" in said[0] and "(on another node)" in said[0] and "(SIGTERM)" in said[1]

    both = run.on_two_nodes()
    run.until_step(8, both)
    both[1].kill()
    lost = time.monotonic()
    said = ended(both)
    assert [process.returncode for process in both] == [104, -signal.SIGKILL], said
    assert "Another node's worker ended." in said[0] and "Traceback" not in said[0]
    assert time.monotonic() - lost < BOUND_SECONDS
    assert not (run.folder / "model-nodes").exists()

    both = run.on_two_nodes()
    said = ended(both)
    assert [process.returncode for process in both] == [0, 0], said
    assert "epoch 3/3" in said[0] and "epoch" not in said[1]
    assert len(run.history("nodes")) == 3
    for ours, theirs in zip(run.history("nodes"), run.history("one"), strict=True):
        for column in ("step", "learning_rate", "loss", "validation_loss"):
            assert ours[column] == pytest.approx(theirs[column], rel=1e-5)
        assert ours["validation_dice"] == pytest.approx(theirs["validation_dice"], abs=1e-3)  # of labels, not smooth
    model = ModelFolder.open(run.folder / "model-nodes").provenance
    assert [attempt.ended for attempt in model.attempts] == ["stopped", "killed", "finished"]
    assert {(attempt.nodes, attempt.devices) for attempt in model.attempts} == {(2, 2)}
    firsts = [attempt.first_step for attempt in model.attempts]
    assert firsts == [1, *(attempt.last_step + 1 for attempt in model.attempts[:-1])] and firsts[2] > 8
    assert first_broken(model.chain) is None


def test_nodes_that_would_train_different_networks_are_refused(run):
    both = run.on_two_nodes("--epochs", "4")
    said = ended(both)
    assert [process.returncode for process in both] == [2, 2], said
    assert all("would train different networks" in text for text in said)


@pytest.mark.parametrize("change, environment, message", [
    ([], {}, "nothing says where they are"),
    (["--logical-cpus", "1"], {}, "--logical-cpus works only on one node"),
    (["--nodes", "3"], {"TF_CONFIG": tf_config(["a:1", "b:2", "c:3"], 0)},
     "A batch of 2 cannot be shared equally by 3 devices"),
    (["--gpus", "1"], {"TF_CONFIG": tf_config(["a:1", "b:2"], 0)}, "1 GPU was requested; tensorflow sees 0")])
def test_wrong_usage(run, change, environment, message):
    process = run.train("x", "--nodes", "2", *change, **environment)
    assert message in ended([process])[0] and process.returncode == 2
