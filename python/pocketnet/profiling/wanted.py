"""The configurations requested on the command line, checked before anything is built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..contracts.plan import LOSS_NAMES, PRECISIONS, Plan
from ..contracts.tasks import TASKS
from ..errors import UsageError
from ..inference.engines import ENGINES
from ..models.network import ARCHITECTURES, PAPER_SHAPES, Network
from ..models.pooling import pooling_of_patch
from .configuration import Configuration


def batches(text: str | None) -> list[int] | None:
    """Parse `"1,2,8..16"` to a list of numbers, including both ends of a range; None gives None.

    Raises:
        UsageError: The text is not such a list, or a number is below 1.
    """
    if not text:
        return None
    found: list[int] = []
    for word in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})(?:\.\.(\d{1,6}))?\s*", word)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not match or low < 1 or high < low:
            raise UsageError(f"--batch must be a list of numbers or ranges, each at least 1. Received: {text}",
                             todo="Use, for example, --batch 1,2,4 or --batch 1..32. --batch must be at least 1.")
        found.extend(range(low, high + 1))
    return list(dict.fromkeys(found))


def configurations(plan: Plan | None, arch: str, width: str, patch: list[int] | None, sizes: list[int] | None,
                   shape: dict[str, Any], loss: str | None, precision: str | None, common: dict[str, Any],
                   accumulate: int | None = None, rematerialise: bool = False) -> Iterator[Configuration]:
    """Yield the configurations of one architecture, width and patch.

    Args:
        plan: Source of all other values; None for the paper's networks.
        arch: A key of `network.ARCHITECTURES`.
        width: The width policy as text; see `widths.parse_width`.
        patch: Voxels per axis, or one number for all axes.
        sizes: Batch sizes.
        shape: Values of `Network` that override the plan's or the paper's.
        loss: One of `plan.LOSS_NAMES`; None for the plan's.
        precision: One of `plan.PRECISIONS`; None for the plan's. Inference is in float32.
        common: Further values of `Configuration`.
        accumulate: Batches per step of the optimiser, at least 1; None for the plan's.
        rematerialise: Whether to compute blocks again in the backward pass; False for what the plan says.

    Raises:
        UsageError: A configuration cannot be built.
    """
    infer = common["mode"] == "infer"
    if infer and precision not in (None, "float32"):
        raise UsageError(f"Inference computes in float32. Received: --precision {precision}")
    for name, value, known in (("--precision", precision, PRECISIONS), ("--loss", loss, LOSS_NAMES),
                               ("--engine", common["engine"], ENGINES)):
        if value is not None and value not in known:
            raise UsageError(f"Unknown {name} '{value}'.", todo=f"Use one of: {', '.join(known)}.")
    if accumulate is not None and accumulate < 1:
        raise UsageError(f"--accumulate must be at least 1. Received: {accumulate}")
    network, sides = _network(plan, arch, width, patch, shape)
    network.check_patch(sides)
    settings = plan.training if plan else None
    rules = TASKS[ARCHITECTURES[arch]["task"]]
    default_loss = settings.loss if settings else rules.losses[0]
    for size in sizes or [1 if infer else settings.batch if settings else rules.paper_batch]:
        yield Configuration(
            network, sides, size, loss=loss or default_loss,
            precision="float32" if infer else precision or (settings.precision if settings else "float32"),
            clip_norm=settings.clip_norm if settings else None,
            learning_rate=settings.learning_rate if settings else 0.001,
            average_decay=settings.average_decay if settings and not infer else None,
            accumulate=accumulate or (settings.accumulate if settings else 1),
            rematerialise=rematerialise or bool(settings and settings.rematerialise), **common)


def _network(plan: Plan | None, arch: str, width: str, patch: list[int] | None,
             shape: dict[str, Any]) -> tuple[Network, tuple[int, ...]]:
    """Return the network, and the patch with one number per axis."""
    network = plan.network_of(arch, width) if plan else Network(arch=arch, width=width, **PAPER_SHAPES[arch] | shape)
    sides = patch or (plan.training.patch if plan else [256 if network.dimensions == 2 else 128])
    sides = tuple(sides) * network.dimensions if len(sides) == 1 else tuple(sides)
    if not plan:
        pooling = pooling_of_patch(sides, [1.0] * len(sides), PAPER_SHAPES[arch]["depth"])
        shape = {"depth": len(pooling)} | shape
    if shape.get("depth", network.depth) != network.depth:
        shape = shape | {"pooling": ()}
    return replace(network, **shape), sides
