"""Predictions for devices: what fits, the largest that does, device files, calibration."""

import json
from dataclasses import astuple, replace

import checked
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from pocketnet.cli.profile import main
from pocketnet.errors import DataError, UsageError
from pocketnet.models.network import Network
from pocketnet.profiling import calibrate, devices, memory, predict, speed, wanted
from pocketnet.profiling.configuration import Configuration

OWN = {"kind": "gpu", "memory_mib": 24576, "bandwidth_gb_s": 936, "tflops": {"float32": 35.6}}


def unet(width, side, batch, **options):
    return Configuration(Network(width=width, depth=3, feature_maps=8), (side,) * 3, batch, **options)


def test_memory_grows_with_batch_width_and_patch():
    t4 = devices.load("t4")
    one, four = (predict.predict(unet("pocket", 32, batch), t4) for batch in (1, 4))
    assert one.memory_mib < four.memory_mib < predict.predict(unet("full", 32, 4), t4).memory_mib
    assert predict.predict(unet("pocket", 64, 1), t4).memory_mib > one.memory_mib
    assert one.step_seconds < four.step_seconds and one.gflops == pytest.approx(four.gflops / 4)


def test_the_largest_that_fits_fits_and_the_next_does_not():
    t4 = devices.load("t4")
    batch = predict.largest_batch(unet("full", 64, 1), t4)
    found = [predict.predict(unet("full", 64, size), t4).memory_mib <= t4.usable_mib for size in (batch, batch + 1)]
    assert batch > 1 and found == [True, False]
    side = predict.largest_patch(unet("full", 64, 2), t4)[0]
    found = [predict.predict(unet("full", size, 2), t4).memory_mib <= t4.usable_mib for size in (side, side + 8)]
    assert side % 8 == 0 and found == [True, False]


def test_nothing_fits_on_a_tiny_device(tmp_path):
    (tmp_path / "toy.json").write_text(json.dumps(OWN | {"memory_mib": 620}))
    toy = devices.load(str(tmp_path / "toy.json"))
    assert predict.largest_batch(unet("full", 64, 1), toy) == 0
    assert predict.largest_patch(unet("full", 64, 64), toy) is None


def test_sixteen_bits_take_less():
    t4 = devices.load("t4")
    half = predict.predict(unet("pocket", 64, 2, precision="mixed_float16"), t4)
    assert half.memory_mib < 0.7 * predict.predict(unet("pocket", 64, 2), t4).memory_mib
    with pytest.raises(UsageError, match="mixed_bfloat16"):
        predict.predict(unet("pocket", 64, 2, precision="mixed_bfloat16"), t4)


@pytest.mark.parametrize("name", ["t4", "v100", "a100", "h100", "h200", "cpu"])
def test_devices_by_name(name):
    device = devices.load(name)
    assert 0 < device.usable_mib < device.memory_mib and not device.calibrated
    assert device.rates_in("float32").seconds(speed.training_work(
        predict.nodes_of(Network(depth=1, feature_maps=4), (8, 8, 8), "float32"), 1)) > 0


def test_a_device_file(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(OWN))
    device = devices.load(str(tmp_path / "mine.json"))
    assert (device.name, device.memory_mib, device.kind) == ("mine", 24576, "gpu")


@pytest.mark.parametrize("missing", ["kind", "memory_mib", "bandwidth_gb_s", "tflops"])
def test_a_device_file_without_a_field(tmp_path, missing):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({key: value for key, value in OWN.items() if key != missing}))
    with pytest.raises(DataError) as caught:
        devices.load(str(path))
    said = str(caught.value)
    assert f"{missing}: it is missing" in said or f"there is no {missing}\n" in said
    assert "mine.json" in said and '"memory_mib": 24576' in said


@pytest.mark.parametrize("text", ["{", json.dumps(OWN | {"kind": "tpu"})])
def test_what_is_no_device_file(tmp_path, text):
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(DataError, match="device file"):
        devices.load(str(tmp_path / "mine.json"))


def test_rates_are_found_from_timed_steps():
    rng = np.random.default_rng(0)
    true = speed.Rates(0.005, 0.01, 0.03, 2.0, 0.001)
    works = [speed.Work(*values) for values in rng.uniform(0.1, 10, (40, 5)) * (50, 5, 3, 0.05, 20)]
    found = calibrate.fit([speed.Timed("", work, true.seconds(work)) for work in works], true)
    assert astuple(found) == pytest.approx(astuple(true), rel=1e-6)
    slow = [speed.Timed("", work, 3 * true.seconds(work)) for work in works[:2]]  # too few to tell rates apart
    assert astuple(calibrate.fit(slow, true)) == pytest.approx([3 * rate for rate in astuple(true)], rel=1e-6)


def test_a_workspace_is_found_from_a_measured_step():
    network = Network(depth=2, feature_maps=8)
    nodes, factors = predict.nodes_of(network, (16,) * 3, "float32"), devices.load("cpu").train

    def held(workspace):
        return max(replace(factors, workspace=workspace).bytes(moment, len(nodes), memory.variables(nodes), 2)
                   for moment in memory.training_moments(nodes))

    assert held(6.0) > held(0)
    grown = held(6.0) / calibrate.LOWEST_SHARE
    assert calibrate.workspace_of(nodes, 2, grown, factors) == pytest.approx(6.0)
    assert calibrate.workspace_of(nodes, 2, held(0), factors) == 0  # nothing is missing


def test_a_device_file_may_have_a_workspace(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(OWN | {"workspace": 2.5}))
    found = devices.load(str(tmp_path / "mine.json"))
    assert found.train.workspace == 2.5 > devices.load("t4").train.workspace
    assert predict.predict(unet("pocket", 64, 2), found).memory_mib > predict.predict(
        unet("pocket", 64, 2), devices.load("t4")).memory_mib


@pytest.mark.parametrize("text, expected", [("1", [1]), ("1,2, 4", [1, 2, 4]), ("2..5,5,9", [2, 3, 4, 5, 9]),
                                            (None, None)])
def test_batches(text, expected):
    assert wanted.batches(text) == expected


@pytest.mark.parametrize("text", ["0", "3..1", "a", "1,,2", "-1", "0..4"])
def test_what_are_no_batches(text):
    with pytest.raises(UsageError, match="at least 1"):
        wanted.batches(text)


def test_table_plot_and_limits(tmp_path):
    ran = CliRunner().invoke(main, [
        "--predict", "--device", "t4", "--width", "full,pocket", "--patch", "128", "--batch", "1..4",
        "--plot", str(tmp_path / "figure.png"), "-o", str(tmp_path / "profile.json")])
    assert ran.exit_code == 0, ran.output
    lines = [line.split() for line in ran.stdout.splitlines() if line.startswith("unet") and "×" in line.split()[2]]
    found = checked.read_json(tmp_path / "profile.json", "profile")
    fits = [entry["predicted"]["fits"] for entry in found["configurations"]]
    assert len(lines) == len(fits) == 8 and [line[6] == "fits" for line in lines] == fits and set(fits) == {True, False}
    assert [one["largest_batch"] for one in found["limits"]] == [sum(fits[:4]), sum(fits[4:])]
    assert "largest batch of 128×128×128" in ran.stdout and "not measured on it" in ran.stdout
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_a_prediction_by_a_plan_needs_no_output(tmp_path):
    tiny.plan().write(tmp_path / "plan.json")
    ran = CliRunner().invoke(main, ["--plan", str(tmp_path / "plan.json"), "--predict", "--json"])
    entry = json.loads(ran.stdout)["configurations"][0]
    assert entry["predicted"]["device"] == "cpu" and entry["predicted"]["fits"] and entry["measured"] is None


@pytest.mark.parametrize("arguments, message, code", [
    (["--predict", "--device", "k80"], "Use one of t4, v100", 2), (["--predict", "--batch", "0"], "at least 1", 2),
    (["--predict", "--patch", "100", "--depth", "5"], "Use 96,96,96", 2),
    (["--predict", "--device", "no.json"], "no device file", 2),
    (["--predict", "--device", "t4", "--mode", "infer", "--plot"], "training steps", 2), ([], "-o/--output", 2)])
def test_wrong_usage(tmp_path, monkeypatch, arguments, message, code):
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == code and message in ran.output and not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"workspace": 1e308}, {"memory_mib": 1e308}, {"layers": 1e308}, {"every": 0}],
                         ids=lambda wrong: next(iter(wrong)))
def test_a_device_file_whose_numbers_predict_nothing(tmp_path, wrong):
    rates = dict.fromkeys(("convolutions", "products", "passed", "weights", "layers"), 0 if "every" in wrong else 0.1)
    rates |= {name: value for name, value in wrong.items() if name in rates}
    own = {"kind": "cpu", "memory_mib": 1000, "rates": {"float32": rates}}
    own |= {name: value for name, value in wrong.items() if name not in rates and name != "every"}
    (tmp_path / "own.json").write_text(json.dumps(own))
    with pytest.raises(DataError, match="MiB and .* s for a step"):
        predict.describe(unet("pocket", 8, 1), devices.load(str(tmp_path / "own.json")))
