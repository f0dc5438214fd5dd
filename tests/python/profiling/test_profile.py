"""Profiles: what a step takes, predicted and measured, each configuration in a process of its own."""

import json
import signal
import threading
import time

import checked
import psutil
import pytest
import tiny
from click.testing import CliRunner
from pocketnet.cli.profile import main
from pocketnet.models.network import Network
from pocketnet.profiling import sweep, wanted
from pocketnet.profiling.configuration import Configuration

SMALL = ["--feature-maps", "4", "--depth", "1", "--steps", "1", "--warm-up", "1", "--quiet"]


def profile(tmp_path, *arguments, code=0):
    """Run the command; its configurations."""
    ran = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "profile.json")])
    assert ran.exit_code == code, ran.output
    return checked.read_json(tmp_path / "profile.json", "profile")["configurations"]


@pytest.mark.parametrize("steps", [0, 2])
def test_profile_of_a_plan(tmp_path, steps):
    tiny.plan().write(tmp_path / "plan.json")
    entry = profile(tmp_path, "--plan", str(tmp_path / "plan.json"), "--steps", str(steps), "--quiet")[0]
    assert (entry["width"], entry["batch"], entry["patch"], entry["mode"]) == ("pocket", 2, [16, 16, 16], "train")
    assert (entry["channels"], entry["classes"], entry["depth"]) == (2, 3, 2)
    assert entry["predicted"]["host_memory_mib"] > entry["predicted"]["device_memory_mib"] > 0
    if steps:
        measured = entry["measured"]
        assert measured["status"] == "ok" and measured["host_memory_mib"] > measured["host_memory_growth_mib"] > 0
        assert measured["step_seconds"] > 0 and measured["patches_per_second"] == pytest.approx(
            2 / measured["step_seconds"], rel=0.01)
    else:
        assert entry["measured"] is None


def test_sweep_over_widths(tmp_path):
    ran = CliRunner().invoke(main, [*SMALL, "--width", "full,pocket", "--patch", "8", "--json",
                                    "-o", str(tmp_path / "profile.json")])
    assert ran.exit_code == 0, ran.output
    found = checked.read_json(tmp_path / "profile.json", "profile")
    assert json.loads(ran.stdout)["configurations"] == found["configurations"]
    assert [(e["width"], e["batch"], e["patch"]) for e in found["configurations"]] == [
        ("full", 2, [8] * 3), ("pocket", 2, [8] * 3)]
    assert all(e["measured"]["status"] == "ok" for e in found["configurations"]) and found["hardware"]["cores"] > 0


@pytest.mark.parametrize("arch, dimensions, engine", [("unet", 3, "openvino"), ("classifier", 2, "tensorflow")])
def test_inference_by_the_engine_of_pocket_infer(tmp_path, arch, dimensions, engine):
    entry = profile(tmp_path, *SMALL, "--arch", arch, "--patch", "16", "--mode", "infer", "--engine", engine)[0]
    assert (entry["mode"], entry["engine"], entry["batch"], entry["patch"]) == ("infer", engine, 1, [16] * dimensions)
    predicted = entry["predicted"]
    assert entry["parameters"] > 0 and 0 < predicted["device_memory_mib"] < predicted["host_memory_mib"]
    assert entry["measured"]["status"] == "ok" and entry["measured"]["patches_per_second"] > 0


@pytest.mark.parametrize("arch, patch, depth", [
    ("unet", [32], 3), ("unet", [128], 5), ("unet", [64, 64, 32], 3), ("hrnet", [64], 3), ("classifier", None, 4)])
def test_depth_follows_the_patch_as_in_a_plan(arch, patch, depth):
    common = {"mode": "train", "engine": "auto"}
    found = list(wanted.configurations(None, arch, "full", patch, [1, 4], {"channels": 4}, None, None, common))
    assert [(c.network.depth, c.batch, c.network.channels) for c in found] == [(depth, 1, 4), (depth, 4, 4)]
    assert found[0].loss == ("cross_entropy" if arch == "classifier" else "l2_dice")


def test_what_cannot_fit_is_refused_before_it_runs(tmp_path):
    tiny.plan(patch=[2048, 2048, 2048]).write(tmp_path / "plan.json")
    ran = CliRunner().invoke(main, ["--plan", str(tmp_path / "plan.json"), "-o", str(tmp_path / "profile.json")])
    assert ran.exit_code == 4 and "GiB" in ran.output and not (tmp_path / "profile.json").exists()


def test_in_a_sweep_what_does_not_fit_is_a_result(tmp_path):
    """The kernel ends a process whose machine has no memory left by SIGKILL; so does this thread, once."""
    killed = []

    def kill_one():
        deadline = time.monotonic() + 120
        while not killed and time.monotonic() < deadline:
            for process in psutil.Process().children():
                if "pocketnet.profiling.child" in process.cmdline() and process.memory_info().rss > 2e8:
                    process.send_signal(signal.SIGKILL)
                    killed.append(process.pid)
            time.sleep(0.02)

    thread = threading.Thread(target=kill_one)
    thread.start()
    first, large, small = (
        e["measured"] for e in profile(tmp_path, *SMALL, "--patch", "8", "--patch", "2048", "--patch", "16"))
    thread.join()
    assert killed and first["status"] == "out_of_memory" and "killed" in first["reason"]
    assert large["status"] == "out_of_memory" and "GiB" in large["reason"] and large["step_seconds"] is None
    assert small["status"] == "ok"


def test_what_breaks_otherwise_is_told_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "none_such")
    entry = profile(tmp_path, *SMALL, "--patch", "8", code=1)[0]
    assert entry["measured"]["status"] == "failed" and "none_such" in entry["measured"]["reason"]


@pytest.mark.parametrize("arguments, message", [
    (["--arch", "vnet"], "Unknown architecture"), (["--width", "wide"], "Unknown width"),
    (["--patch", "30", "--depth", "3"], "multiple of"), (["--batch", "0"], "--batch must be at least 1"),
    (["--mode", "infer", "--precision", "mixed_float16"], "Inference computes in float32"),
    (["--precision", "half"], "Use one of: float32"), (["--loss", "hinge"], "Use one of: l2_dice"),
    (["--engine", "onnx"], "Unknown --engine"), (["--steps", "-1"], "cannot be negative")])
def test_wrong_usage_is_refused_before_anything_runs(tmp_path, arguments, message):
    ran = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "profile.json")])
    assert ran.exit_code == 2 and message in ran.output and not (tmp_path / "profile.json").exists()


def test_a_training_takes_the_same_memory_in_every_process():
    """With Grappler's passes it had two peaks, a fifth apart, one after the other by chance; what else runs is to do
    no more than a little."""
    one = Configuration(Network(depth=3, feature_maps=32), (32, 32, 32), 6, steps=1, warm_up=1, threads=2)
    grown = [sweep.measure(one)[0].measured.host_memory_growth_mib for _ in range(4)]
    assert max(grown) < 1.1 * min(grown)
