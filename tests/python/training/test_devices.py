"""Data-parallel training: several devices that share a batch give what one gives, also on several nodes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from several import of_workers, tf_config


def start(stores, *nodes, **environment):
    program = Path(__file__).with_name("losses_by_devices.py")
    paths = [str(program.parents[1]), *sys.path]
    folder = next(iter(stores.values())).folder.parent
    return subprocess.Popen(
        [sys.executable, program, folder, *nodes], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | environment)


def losses(process):
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])


@pytest.fixture(scope="module")
def runs(stores):
    return losses(start(stores))


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_two_devices_train_as_one(runs, norm):
    one, two = (runs[norm][count] for count in ("1", "2"))
    assert two["losses"] == pytest.approx(one["losses"], rel=2e-5)
    assert one["losses"][-1] < one["losses"][0]
    assert two["predicted"] == pytest.approx(one["predicted"], rel=1e-3)


def test_two_nodes_train_as_one(runs, stores):
    addresses = of_workers(2)
    processes = [start(stores, "2", TF_CONFIG=tf_config(addresses, index)) for index in range(2)]
    nodes = [losses(process) for process in processes]
    for norm, found in runs.items():
        for node in nodes:
            assert node[norm]["2"]["losses"] == pytest.approx(found["1"]["losses"], rel=1e-5)
            assert node[norm]["2"]["predicted"] == pytest.approx(found["1"]["predicted"], rel=1e-3)
