"""The records of several networks as one, and which networks are no ensemble."""

from dataclasses import replace
from pathlib import Path

import fake_run
import numpy as np
import pytest
import tiny
from pocketnet import backend
from pocketnet.contracts.provenance import Attempt
from pocketnet.errors import UsageError
from pocketnet.training.ensembled import check_members, combined, mean_history, write_ensemble
from pocketnet.training.model_folder import ModelFolder, write_records

HISTORY = ["epoch,step,loss\n1,4,0.5\n2,8,0.25\n", "epoch,step,loss\n1,4,0.75\n2,8,0.125\n3,12,0.1\n"]


def member(seed=1, plan=None, **changes):
    """A model folder that is not on the disk."""
    record = fake_run.provenance(seed=seed, run_key=f"run-{seed}")
    return ModelFolder(Path(f"/model{seed}"), plan or tiny.plan(), (), replace(record, **changes), {})


def test_histories_are_averaged_up_to_the_shortest():
    assert mean_history(HISTORY).splitlines() == ["epoch,step,loss", "1,4,0.625", "2,8,0.1875"]


def test_records_are_added_up():
    parts = [replace(fake_run.provenance(seed=seed, run_key=f"run-{seed}"), peak_host_memory_mib=memory,
                     peak_device_memory_mib=device, wall_seconds=seconds, steps=steps)
             for seed, memory, device, seconds, steps in ((1, 900.0, None, 1.25, 100), (2, 1200.0, 70.0, 2.5, 20))]
    whole = combined(parts)
    assert (whole.parameters, whole.steps, whole.wall_seconds) == (2 * 387_394, 120, 3.75)
    assert (whole.peak_host_memory_mib, whole.peak_device_memory_mib, whole.validation_loss) == (1200, 70, None)
    assert whole.attempts == (Attempt(1, 120, 3.75, "finished"),)
    assert whole.run_key not in ("run-1", "run-2") and whole.run_key == combined(parts).run_key
    assert combined(parts[::-1]).run_key != whole.run_key
    assert combined(parts[:1] * 2).peak_device_memory_mib is None
    assert (whole.dataset, whole.width, whole.seed) == ("hippocampus", "pocket", 1)


def test_what_is_no_ensemble_is_refused():
    check_members([member(1), member(2), member(3)])
    with pytest.raises(UsageError, match="at least 2 members. Received: 1"):
        check_members([member()])
    other = tiny.plan()
    for network in (replace(member(2).plan, network=replace(other.network, feature_maps=8)),
                    replace(member(2).plan, preprocessing=replace(other.preprocessing, crop="none"))):
        with pytest.raises(UsageError, match="they differ in plan"):
            check_members([member(1), member(2, network)])
    with pytest.raises(UsageError, match="they differ in arch, fold") as caught:
        check_members([member(1), member(2), member(3, fold=4, arch="resnet")])
    assert caught.value.where == "/model1 and /model3"
    with pytest.raises(UsageError, match="given twice") as caught:
        check_members([member(1), member(2), member(1)])
    assert caught.value.where == "/model1, /model2, /model1"


def test_an_ensemble_is_the_mean_of_its_members(tmp_path):
    from pocketnet.models.build import build, load

    plan, folders, networks = tiny.plan(), [], []
    for seed in (1, 2):
        folders.append(tmp_path / f"member{seed}")
        folders[-1].mkdir()
        networks.append(build(plan.network_of("unet", "pocket")))
        networks[-1].set_weights([np.random.default_rng(seed).uniform(0.1, 0.5, weight.shape)
                                  for weight in networks[-1].get_weights()])
        networks[-1].save(folders[-1] / "model.keras")
        write_records(folders[-1], plan, fake_run.provenance(seed=seed, run_key=f"run-{seed}"), HISTORY[seed - 1])
    written = write_ensemble(folders, tmp_path / "whole")
    found = ModelFolder.open(tmp_path / "whole")
    assert found.provenance == written and found.plan == plan
    assert (found.path / "history.csv").read_text() == mean_history(HISTORY)
    for number, folder in enumerate(folders, 1):
        for name in ("history.csv", "provenance.json"):
            assert (found.path / f"member{number}.{name}").read_bytes() == (folder / name).read_bytes()
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 16, 2)).astype(np.float32)
    expected = np.mean([np.array(network(image)) for network in networks], axis=0)
    np.testing.assert_allclose(np.array(load(found.path / "model.keras")(image)), expected, atol=1e-6)
    assert (found.path / "model.xml").exists() == (backend.name() == "tensorflow")
    with pytest.raises(UsageError):
        write_ensemble(folders, folders[0])
