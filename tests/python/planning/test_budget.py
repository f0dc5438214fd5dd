"""The number of steps that fits a time."""

from dataclasses import replace

import pytest
import tiny
from pocketnet.errors import UsageError
from pocketnet.planning.budget import within
from pocketnet.planning.device import configurations
from pocketnet.profiling import devices
from pocketnet.profiling.predict import predict

BOTH = [("unet", "pocket"), ("unet", "full")]
T4 = devices.load("t4")


def seconds(plan, networks):
    return max(predict(one, T4).step_seconds for one in configurations(plan, networks))


def test_the_slowest_network_decides_the_number_of_steps():
    plan = tiny.plan(epochs=4, patch=[32, 32, 32], warm_up_steps=200)
    for networks in (BOTH, BOTH[:1]):
        step = seconds(plan, networks)
        training = within(plan, networks, T4, 1000.5 * step / 60).training
        assert (training.epochs, training.steps_per_epoch, training.warm_up_steps) == (4, 250, 100)
        assert replace(training, steps_per_epoch=plan.training.steps_per_epoch, warm_up_steps=200) == plan.training
    assert seconds(plan, BOTH) > seconds(plan, BOTH[:1])


def test_with_fewer_steps_than_epochs_each_epoch_is_a_step():
    plan = tiny.plan(epochs=4, warm_up_steps=0)
    training = within(plan, BOTH, T4, 3.5 * seconds(plan, BOTH) / 60).training
    assert (training.epochs, training.steps_per_epoch) == (3, 1)


def test_a_time_shorter_than_a_step_is_refused():
    plan = tiny.plan()
    with pytest.raises(UsageError, match="too short: a step takes .* on NVIDIA Tesla T4") as caught:
        within(plan, BOTH, T4, 0.5 * seconds(plan, BOTH) / 60)
    assert caught.value.where == "--budget"
