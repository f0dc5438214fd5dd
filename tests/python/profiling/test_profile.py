"""Profiles: what a training step takes, predicted and measured."""

import json

import pytest
import tiny
from click.testing import CliRunner
from pocketnet import files
from pocketnet.cli.profile import main


@pytest.mark.parametrize("steps", [0, 2])
def test_profile_is_written(tmp_path, steps):
    tiny.plan().write(tmp_path / "plan.json")
    ran = CliRunner().invoke(main, ["--plan", str(tmp_path / "plan.json"), "--steps", str(steps), "--json",
                                    "--quiet", "-o", str(tmp_path / "profile.json")])
    assert ran.exit_code == 0, ran.output
    entry = files.read_json(tmp_path / "profile.json", "profile")["configurations"][0]
    assert entry == json.loads(ran.stdout)
    assert (entry["width"], entry["batch"], entry["patch"]) == ("pocket", 2, [16, 16, 16])
    assert entry["predicted"]["host_memory_mib"] > entry["predicted"]["device_memory_mib"] > 0
    if steps:
        measured = entry["measured"]
        assert measured["step_seconds"] > 0 and measured["patches_per_second"] == pytest.approx(
            2 / measured["step_seconds"], rel=0.01)
    else:
        assert entry["measured"] is None


def test_prediction_grows_with_batch_and_width():
    from pocketnet.models.build import build
    from pocketnet.profiling.predict import training_memory

    network = tiny.plan().network
    pocket, full = (build(network.network("unet", width), (16, 16, 16)) for width in ("pocket", "full"))
    assert training_memory(full, 1).device_mib > training_memory(pocket, 1).device_mib
    assert training_memory(pocket, 4).activations == pytest.approx(4 * training_memory(pocket, 1).activations)


def test_what_cannot_fit_is_refused_before_it_runs(tmp_path):
    tiny.plan(patch=[2048, 2048, 2048]).write(tmp_path / "plan.json")
    ran = CliRunner().invoke(main, ["--plan", str(tmp_path / "plan.json"), "-o", str(tmp_path / "profile.json")])
    assert ran.exit_code == 4 and "GiB" in ran.output and not (tmp_path / "profile.json").exists()
