"""Fit a plan's patch and batch size into the memory of a device, before any preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..contracts.plan import Plan
from ..errors import DeviceMemoryError
from ..profiling.configuration import Configuration
from ..profiling.devices import Device
from ..profiling.predict import predict

FEWEST = 2
"""Smallest batch before the patch shrinks: batch statistics of a single patch are unreliable."""


def configurations(plan: Plan, networks: Sequence[tuple[str, str]], mode: str = "train") -> list[Configuration]:
    """Return the configuration that the plan runs for each network.

    Args:
        plan: The plan.
        networks: Architecture and width of each network.
        mode: `train` for a training step; `infer` for the forward pass of one window.
    """
    training, built = plan.training, [plan.network_of(arch, width) for arch, width in networks]
    if mode == "infer":
        return [Configuration(network, training.patch, 1, mode=mode, loss=training.loss, steps=0)
                for network in built]
    return [Configuration(network, training.patch, training.batch, precision=training.precision, loss=training.loss,
                          accumulate=training.accumulate, rematerialise=training.rematerialise,
                          average_decay=training.average_decay, steps=0)
            for network in built]


def fitted(plan: Plan, networks: Sequence[tuple[str, str]], device: Device, *, patch: bool, batch: bool) -> Plan:
    """Return the plan, with a smaller batch or patch if some network's training does not fit the device.

    Values that the user chose stay unchanged. The batch shrinks to `FEWEST` first. Then the patch shrinks along its
    longest axis, step by step. The last resort is the plan's patch with a batch of 1.

    Args:
        plan: The plan made from the recipe and the user's options.
        networks: Architecture and width of each network to train.
        device: The device to train on.
        patch: Whether the user chose the patch.
        batch: Whether the user chose the batch.

    Raises:
        DeviceMemoryError: The user's values, or even the smallest ones, do not fit. The message names the largest
            batch and patch that fit.
    """
    for candidate in _candidates(plan, patch, batch):
        if _missing(candidate, networks, device) <= 0:
            return candidate
    raise _refusal(plan, networks, device)


def _candidates(plan: Plan, patch: bool, batch: bool) -> Iterator[Plan]:
    """Yield the plan and smaller variants in the order in which `fitted` tries them."""
    training = plan.training
    fewest = training.batch if batch else min(FEWEST, training.batch)
    for size in range(training.batch, fewest - 1, -1):
        yield _changed(plan, training.patch, size)
    if not patch:
        for sides in _smaller(plan):
            yield _changed(plan, sides, fewest)
    if not batch and fewest > 1:
        yield _changed(plan, training.patch, 1)


def _smaller(plan: Plan) -> Iterator[tuple[int, ...]]:
    """Yield ever smaller patches; each is one step shorter along the longest axis than the one before."""
    sides, steps = list(plan.training.patch), plan.network.divisor
    while any(side > step for side, step in zip(sides, steps, strict=True)):
        axis = max((a for a, step in enumerate(steps) if sides[a] > step), key=lambda a: sides[a])
        sides[axis] -= steps[axis]
        yield tuple(sides)


def _changed(plan: Plan, patch: tuple[int, ...], batch: int) -> Plan:
    return replace(plan, training=replace(plan.training, patch=patch, batch=batch))


def _missing(plan: Plan, networks: Sequence[tuple[str, str]], device: Device) -> float:
    """Return by how many MiB the largest network's training exceeds the device's memory; negative if it fits."""
    return max(predict(one, device).memory_mib for one in configurations(plan, networks)) - device.usable_mib


def _refusal(plan: Plan, networks: Sequence[tuple[str, str]], device: Device) -> DeviceMemoryError:
    training = plan.training
    worst = max(configurations(plan, networks), key=lambda one: predict(one, device).memory_mib)
    needs = predict(worst, device).memory_mib
    batches = (_changed(plan, training.patch, size) for size in range(training.batch - 1, 0, -1))
    patches = (_changed(plan, sides, training.batch) for sides in _smaller(plan))
    fitting = [next((one for one in some if _missing(one, networks, device) <= 0), None) for some in (batches, patches)]
    words = ("--batch {0.batch} with this patch", "--patch {1} with this batch")
    todo = " or ".join(word.format(one.training, ",".join(map(str, one.training.patch)))
                       for word, one in zip(words, fitting, strict=True) if one is not None)
    return DeviceMemoryError(
        f"{worst.describe()}: needs about {needs:,.0f} MiB, and {device.title} has {device.usable_mib:,.0f} MiB.",
        todo=f"The largest that fits: {todo}." if todo else
        "Not even the smallest patch fits: use a narrower --width, fewer --feature-maps or another --device.")
