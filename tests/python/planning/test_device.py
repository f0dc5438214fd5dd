"""A plan made to fit a device, or refused with what would fit."""

import json
from dataclasses import replace

import checked as contents
import pytest
import tiny
from click.testing import CliRunner
from pocketnet.cli.check import main as check
from pocketnet.cli.demo import main as demo
from pocketnet.cli.plan import main
from pocketnet.contracts.plan import Plan
from pocketnet.errors import DeviceMemoryError
from pocketnet.planning import device as fit
from pocketnet.profiling import devices
from pocketnet.profiling.configuration import Configuration
from pocketnet.profiling.predict import predict

BOTH = [("unet", "pocket"), ("unet", "full")]


def needs(plan, networks=BOTH):
    return max(predict(one, devices.load("t4")).memory_mib for one in fit.configurations(plan, networks))


def test_a_configuration_has_every_setting_of_the_plan_that_takes_memory():
    plan = tiny.plan(precision="mixed_float16", loss="dice_cross_entropy", accumulate=2, average_decay=0.9,
                     rematerialise=False)
    for step, (arch, width) in zip(fit.configurations(plan, BOTH), BOTH, strict=True):
        network, training = plan.network_of(arch, width), plan.training
        assert step == Configuration(network, (16, 16, 16), 2, mode="train", precision="mixed_float16",
                                     loss="dice_cross_entropy", accumulate=2, rematerialise=False, average_decay=0.9,
                                     steps=0)
        (forward,) = fit.configurations(plan, [(arch, width)], "infer")
        assert forward == Configuration(network, training.patch, 1, mode="infer", loss="dice_cross_entropy", steps=0)
    assert fit.configurations(changed(plan, rematerialise=True), BOTH)[0].rematerialise


def with_room_for(mib):
    """A GPU on which a network has so many MiB."""
    t4 = devices.load("t4")
    return replace(t4, memory_mib=mib + t4.reserved_mib)


def changed(plan, **training):
    return replace(plan, training=replace(plan.training, **training))


def test_what_fits_stays_as_it_is():
    plan = tiny.plan()
    assert fit.fitted(plan, BOTH, devices.load("t4"), patch=False, batch=False) == plan


def test_first_the_batch_becomes_smaller():
    plan = tiny.plan(batch=8, patch=[32, 32, 32])
    found = fit.fitted(plan, BOTH, with_room_for(needs(changed(plan, batch=5)) + 1), patch=False, batch=False)
    assert (found.training.batch, found.training.patch) == (5, (32, 32, 32))


def test_then_the_patch_where_it_is_longest():
    plan = tiny.plan(batch=8, patch=[32, 64, 32])
    room = needs(changed(plan, batch=2, patch=(32, 40, 32))) + 1
    found = fit.fitted(plan, BOTH, with_room_for(room), patch=False, batch=False)
    assert (found.training.batch, found.training.patch) == (2, (32, 40, 32))
    found = fit.fitted(plan, BOTH, with_room_for(room), patch=False, batch=True)
    assert found.training.batch == 8 and needs(found) <= room


def test_the_widest_network_decides():
    plan = tiny.plan(batch=8, patch=[32, 32, 32])
    room = with_room_for(needs(plan, BOTH[:1]) + 1)
    assert fit.fitted(plan, BOTH[:1], room, patch=False, batch=False) == plan
    assert fit.fitted(plan, BOTH, room, patch=False, batch=False) != plan


def test_a_choice_that_cannot_fit_is_refused_with_what_would():
    plan = tiny.plan(batch=8, patch=[64, 64, 64])
    room = needs(changed(plan, batch=3)) + 1
    with pytest.raises(DeviceMemoryError) as caught:
        fit.fitted(plan, BOTH, with_room_for(room), patch=True, batch=True)
    assert "full unet" in str(caught.value) and "--batch 3 with this patch or --patch" in str(caught.value)
    words = str(caught.value).split("--patch ")[1].split()[0]
    would = changed(plan, patch=tuple(map(int, words.split(","))))
    assert needs(would) <= room < needs(plan)


def test_where_nothing_fits():
    with pytest.raises(DeviceMemoryError, match="Not even the smallest patch"):
        fit.fitted(tiny.plan(), BOTH, with_room_for(0.01), patch=False, batch=False)


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Made-up cases, checked; a device file of 1,200 MiB beside their manifest."""
    folder = tmp_path_factory.mktemp("checked")
    for command, arguments in ((demo, ["-o", folder / "data", "--cases", "6"]),
                               (check, ["--dataset", "demo", "--input", folder / "data", "-o", folder])):
        ran = CliRunner().invoke(command, [*map(str, arguments), "--quiet"])
        assert ran.exit_code == 0, ran.output
    (folder / "small.json").write_text(json.dumps({
        "kind": "gpu", "memory_mib": 1200, "bandwidth_gb_s": 300, "tflops": {"float32": 8}}))
    return folder


def plan_of(folder, output, *options):
    return CliRunner().invoke(main, ["--manifest", str(folder / "manifest.json"), "--fingerprint",
                                     str(folder / "fingerprint.json"), "-o", str(output), *options])


def test_the_command_says_what_each_network_will_take(checked, tmp_path):
    ran = plan_of(checked, tmp_path, "--width", "full,caps,pocket")
    assert ran.exit_code == 0, ran.output
    found = contents.read_json(tmp_path / "predicted.json", "profile")["configurations"]
    plan = Plan.read(tmp_path / "plan.json")
    between = [f"capped{plan.network.feature_maps << level}" for level in range(plan.network.depth - 1, 0, -1)]
    assert [(one["mode"], one["width"]) for one in found] == [
        (mode, width) for mode in ("train", "infer") for width in ("full", *between, "pocket")]
    memory = [one["predicted"]["device_memory_mib"] for one in found if one["mode"] == "train"]
    assert memory == sorted(memory, reverse=True) and "unet full on cpu: about" in ran.output


def test_the_command_fits_the_plan_to_the_device(checked, tmp_path):
    ran = plan_of(checked, tmp_path / "free", "--quiet")
    assert ran.exit_code == 0, ran.output
    small = plan_of(checked, tmp_path / "small", "--device", str(checked / "small.json"), "--batch", "16")
    assert small.exit_code == 0, small.output
    free, fits = (Plan.read(tmp_path / name / "plan.json").training for name in ("free", "small"))
    assert fits.batch == 16 and fits.patch < free.patch
    found = contents.read_json(tmp_path / "small/predicted.json", "profile")["configurations"]
    assert {one["predicted"]["device"] for one in found} == {"small"} and all(one["predicted"]["fits"] for one in found)


def test_the_command_refuses_before_it_writes(checked, tmp_path):
    ran = plan_of(checked, tmp_path / "out", "--device", str(checked / "small.json"), "--patch", "32", "--batch", "32")
    assert ran.exit_code == 4 and "The largest that fits: --batch" in ran.output and not (tmp_path / "out").exists()
    ran = plan_of(checked, tmp_path / "out", "--device", "t5")
    assert ran.exit_code == 2 and "Use one of t4" in ran.output and not (tmp_path / "out").exists()
