"""This processor's rates and its convolutions' workspace, by a few short training steps of networks of every kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from ..models.network import Network
from .configuration import Configuration
from .memory import training_moments, variables
from .speed import Rates, Work

if TYPE_CHECKING:
    from .devices import Device, Factors
    from .graph import Node

CASES = (("unet", "pocket", 4, 64, 1), ("resnet", "full", 3, 32, 2), ("densenet", "pocket", 3, 32, 4),
         ("unet", "full", 4, 64, 1), ("hrnet", "pocket", 3, 32, 2), ("unet", "pocket", 3, 32, 2))
"""Architecture, width, depth, patch side, batch. By the memory of the first, in which a convolution has the worst
moment, the workspace is found."""
STEPS, WARM_UP = 3, 1
BUDGET_SECONDS = 35
FEWEST = 3
MARGIN = 0.97
"""Share of the measured memory that a prediction is to reach: how a process' heap is fragmented differs by as much."""
PRIOR = 0.1
"""Weight of the rates' usual proportions, beside 1 for each measured step: few steps cannot tell all rates apart."""


@dataclass(frozen=True)
class Timed:
    """A configuration's work and how long it took."""

    name: str
    work: Work
    seconds: float


@dataclass(frozen=True)
class Calibration:
    """What a processor showed: its rates, `Factors.workspace`, and the steps that both are from."""

    rates: Rates
    workspace: float
    timed: list[Timed]


def calibrate(usual: Device, threads: int | None = None, tell: Callable[[str], object] = lambda line: None
              ) -> Calibration:
    """Measure this processor in float32, in this process (a fresh one), in under a minute.

    Args:
        usual: Its rates' proportions stand in for what the steps don't tell; its workspace is the least.
        threads: CPU threads, as `backend.configure` was told.
        tell: Gets a line a configuration.
    """
    from .. import backend
    from ..models.build import build
    from .measure import training_step
    from .predict import nodes_of
    from .speed import training_work

    begin, before = time.monotonic(), backend.host_memory_mib()
    workspace = usual.train.workspace
    found: list[Timed] = []
    for arch, width, depth, side, batch in CASES:
        if len(found) >= FEWEST and time.monotonic() - begin > BUDGET_SECONDS:
            break
        network = Network(arch=arch, width=width, depth=depth)
        configuration = Configuration(network, (side,) * 3, batch, steps=STEPS, warm_up=WARM_UP, threads=threads)
        measured = training_step(build(network, configuration.patch), configuration)
        nodes = nodes_of(network, configuration.patch, "float32")
        if not found:
            grown = (backend.peak_host_memory_mib() - before) * 2**20
            workspace = max(workspace, workspace_of(nodes, batch, grown, usual.train))
        work = training_work(nodes, batch)
        found.append(Timed(configuration.describe(), work, measured["step_seconds"]))
        tell(f"{found[-1].name}: {found[-1].seconds:.3f} s")
    return Calibration(fit(found, usual.rates["float32"]), workspace, found)


def workspace_of(nodes: Sequence[Node], batch: int, grown: float, factors: Factors) -> float:
    """The smallest `Factors.workspace` by which a training step is predicted with `MARGIN` of what it took.

    Args:
        grown: Bytes that the process grew by.
    """
    bare = replace(factors, workspace=0.0)
    held = [(moment, bare.bytes(moment, len(nodes), variables(nodes), batch)) for moment in training_moments(nodes)]
    if max(one for _, one in held) >= MARGIN * grown:
        return 0.0
    return min((MARGIN * grown - one) / (moment.workspace * batch) for moment, one in held if moment.workspace)


def fit(found: Sequence[Timed], usual: Rates) -> Rates:
    """Rates, none negative, by which the steps' relative errors are smallest."""
    from scipy.optimize import nnls

    work = np.array([astuple(one.work) for one in found])
    seconds = np.array([one.seconds for one in found])
    scale = float(np.median(seconds / (work @ np.array(astuple(usual)))))
    prior = scale * np.array(astuple(usual))
    known = prior > 0
    rows = np.vstack([work / seconds[:, None], np.diag(PRIOR * known / np.where(known, prior, 1))])
    rates, _ = nnls(rows, np.concatenate([np.ones(len(found)), PRIOR * known]))
    return Rates(**{f.name: float(value) for f, value in zip(fields(Rates), rates, strict=True)})
