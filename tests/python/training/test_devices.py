"""Data-parallel training: several devices that share a batch give what one gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def runs(stores):
    program = Path(__file__).with_name("losses_by_devices.py")
    paths = [str(program.parents[1]), *sys.path]
    folder = next(iter(stores.values())).folder.parent
    ran = subprocess.run([sys.executable, program, folder], text=True, capture_output=True,
                         env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))})
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_two_devices_train_as_one(runs, norm):
    one, two = (runs[norm][count] for count in ("1", "2"))
    assert two["losses"] == pytest.approx(one["losses"], rel=2e-5)
    assert one["losses"][-1] < one["losses"][0]
    assert two["predicted"] == pytest.approx(one["predicted"], rel=1e-3)
