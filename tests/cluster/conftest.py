"""Fixtures of the tests on SLURM: one cluster, one small dataset and one undisturbed run for all of them."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ending import end_early
from faults import FOLDS, ON_GPUS, ClusterRun
from harm import disturb, lose_worker
from running import copy_clone
from slurm import Slurm, install


@pytest.fixture(scope="session")
def slurm():
    """A started cluster; ends with the session."""
    if os.geteuid() != 0:
        pytest.fail("The tests on SLURM need root, to install and start its daemons.")
    install()
    cluster = Slurm.started()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def clone(tmp_path_factory) -> Path:
    """A copy of the clone."""
    return copy_clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def new_run(slurm, clone, tmp_path_factory):
    """Makes a run of the pipeline on the cluster, in a folder of its own, not started; all on the same data."""
    data = tmp_path_factory.mktemp("made") / "data"
    subprocess.run([clone / "bin/pocket-demo", "--quiet", "--cases", str(2 * FOLDS), "-o", data], check=True)

    def make(name: str, *options: str, devices: tuple[str, ...] = ON_GPUS) -> ClusterRun:
        return ClusterRun.prepared(slurm, clone, tmp_path_factory.mktemp(name), data, options, devices)
    return make


@pytest.fixture(scope="session")
def pool():
    """Runs things at the same time."""
    with ThreadPoolExecutor(16) as threads:
        yield threads


@pytest.fixture(scope="session")
def undisturbed(new_run, pool):
    """The run that every other is compared with, tracked at a server that is not there; a future of it."""
    run = new_run("undisturbed", "--mlflow_uri", "http://127.0.0.1:9")

    def to_the_end():
        head = run.launch("log")
        said = run.ended(head, "log")
        assert head.returncode == 0, said
        return run
    return pool.submit(to_the_end)


@pytest.fixture(scope="session")
def disturbed(new_run, pool):
    """The run with a fault for each fold; a future of it and of what each fault has seen."""
    return pool.submit(disturb, new_run("disturbed", "--max_memory", "8.GB"), pool)


@pytest.fixture(scope="session")
def ending(new_run, pool):
    """The run that is ended and resumed; a future of what was seen."""
    return pool.submit(end_early, new_run("ending", "--fold", "0"))


@pytest.fixture(scope="session")
def on_two_nodes(new_run, pool):
    """The run that trains on two nodes and loses a worker, up to its first model; a future of it."""
    return pool.submit(lose_worker, new_run("nodes", "--fold", "0", devices=("--nodes", "2", "--batch", "2")))


@pytest.fixture(scope="session", autouse=True)
def start_together(request):
    """Start all runs that the chosen tests need before the first test waits for one."""
    needed = {name for item in request.session.items for name in item.fixturenames}
    for name in ("undisturbed", "disturbed", "ending", "on_two_nodes"):
        if name in needed:
            request.getfixturevalue(name)
