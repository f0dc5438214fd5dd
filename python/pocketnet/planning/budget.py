"""Set the number of training steps so that a training takes a given time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..contracts.plan import Plan
from ..errors import UsageError
from ..profiling.devices import Device
from ..profiling.predict import predict
from .device import configurations
from .plan import shortest_warm_up


def within(plan: Plan, networks: Sequence[tuple[str, str]], device: Device, minutes: float) -> Plan:
    """Return the plan with as many steps as the slowest network's training makes in the given time.

    All networks make the same number of steps, so that they stay comparable. The number of epochs stays the plan's, as
    far as there is a step for each. The time is predicted (`profiling.predict`) and counts training steps alone, not
    the start, validation or export.

    Args:
        plan: The plan made from the recipe and the user's options.
        networks: Architecture and width of each network to train.
        device: The device to train on.
        minutes: Minutes per training.

    Raises:
        UsageError: The time is not enough for one step.
    """
    seconds = max(predict(one, device).step_seconds for one in configurations(plan, networks))
    steps = int(60 * minutes / seconds)
    if steps < 1:
        raise UsageError(f"A budget of {minutes:.3g} min is too short: a step takes {seconds:.2g} s on {device.title}.",
                         where="--budget", todo=f"Use at least {seconds / 60:.2g}, or a smaller --patch or --batch.")
    epochs = min(plan.training.epochs, steps)
    training = replace(plan.training, epochs=epochs, steps_per_epoch=steps // epochs)
    return replace(plan, training=replace(training, warm_up_steps=shortest_warm_up(training.warm_up_steps,
                                                                                   training.steps)))
