"""What of a plan fits a device: a patch and a batch that do, or what would, before anything is preprocessed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..contracts.plan import Plan
from ..errors import DeviceMemoryError
from ..profiling.configuration import Configuration
from ..profiling.devices import Device
from ..profiling.predict import predict

FEWEST = 2
"""Patches a batch that the patch is made smaller for: of a single one, batch normalisation knows little."""


def configurations(plan: Plan, networks: Sequence[tuple[str, str]], mode: str = "train") -> list[Configuration]:
    """What the plan runs for each network, an architecture and a width: a training step, or a window's forward pass."""
    training, built = plan.training, [plan.network_of(arch, width) for arch, width in networks]
    if mode == "infer":
        return [Configuration(network, training.patch, 1, mode=mode, loss=training.loss, steps=0)
                for network in built]
    return [Configuration(network, training.patch, training.batch, precision=training.precision, loss=training.loss,
                          accumulate=training.accumulate, rematerialise=training.rematerialise,
                          average_decay=training.average_decay, steps=0)
            for network in built]


def fitted(plan: Plan, networks: Sequence[tuple[str, str]], device: Device, *, patch: bool, batch: bool) -> Plan:
    """The plan as it is if every network's training fits, else with the largest batch, then patch, that does.

    A batch that the user did not choose goes down to `FEWEST` first; then the patch, if it is free, is taken from
    where it is longest, as often as it takes.

    Args:
        plan: The plan as the recipe or the user made it.
        networks: Architecture and width of each network that is to be trained.
        device: The device to train on.
        patch: Whether the user chose the patch.
        batch: Whether the user chose the batch.

    Raises:
        DeviceMemoryError: What the user chose does not fit, or nothing does; names the largest that would.
    """
    for candidate in _candidates(plan, patch, batch):
        if _missing(candidate, networks, device) <= 0:
            return candidate
    raise _refusal(plan, networks, device)


def _candidates(plan: Plan, patch: bool, batch: bool) -> Iterator[Plan]:
    """The plan, and smaller ones, from large to small."""
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
    """Smaller patches, each shorter than the one before by one step of its longest axis."""
    sides, steps = list(plan.training.patch), plan.network.divisor
    while any(side > step for side, step in zip(sides, steps, strict=True)):
        axis = max((a for a, step in enumerate(steps) if sides[a] > step), key=lambda a: sides[a])
        sides[axis] -= steps[axis]
        yield tuple(sides)


def _changed(plan: Plan, patch: tuple[int, ...], batch: int) -> Plan:
    return replace(plan, training=replace(plan.training, patch=patch, batch=batch))


def _missing(plan: Plan, networks: Sequence[tuple[str, str]], device: Device) -> float:
    """MiB that the largest network's training needs over what the device has; negative for what is left."""
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
