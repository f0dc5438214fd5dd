"""Calibration: measure this processor's rates and convolution workspace with short trainings of several networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields, replace

import numpy as np

from ..models.network import Network
from .configuration import Configuration
from .devices import Device, Factors
from .fused import trained
from .graph import Node
from .memory import training_moments, variables
from .speed import Calibration, Rates, Timed

CASES = (("unet", "pocket", 4, 64, 1), ("resnet", "full", 3, 32, 2), ("densenet", "pocket", 3, 32, 4),
         ("unet", "full", 4, 64, 1), ("hrnet", "pocket", 3, 32, 2), ("unet", "pocket", 3, 32, 2))
"""Architecture, width, depth, patch side and batch of each training. The first one determines the workspace, because
its memory peaks in a convolution."""
STEPS, WARM_UP = 3, 1
BUDGET_SECONDS = 35
FEWEST = 3
LOWEST_SHARE = 0.97
"""Fraction of the measured memory that a prediction must reach. Heap fragmentation varies by the rest."""
PRIOR = 0.1
"""Weight of the prior rates; each measured step counts 1. A few steps cannot determine all rates."""


def calibrate(usual: Device, threads: int | None = None, tell: Callable[[str], object] = lambda line: None
              ) -> Calibration:
    """Measure this processor in float32 in under a minute. Call it in a fresh process.

    Args:
        usual: Prior device. Its rates fill in what the steps cannot determine; its workspace is the lower bound.
        threads: CPU threads, as passed to `backend.configure`.
        tell: Receives one line per configuration.
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
        work = training_work(trained(nodes), batch)
        found.append(Timed(configuration.describe(), work, measured["step_seconds"]))
        tell(f"{found[-1].name}: {found[-1].seconds:.3f} s")
    return Calibration(fit(found, usual.rates["float32"]), workspace, found)


def workspace_of(nodes: Sequence[Node], batch: int, grown: float, factors: Factors) -> float:
    """Return the smallest `Factors.workspace` with which the prediction reaches `MARGIN` of the measured memory.

    Args:
        nodes: The network's graph.
        batch: Patches per step.
        grown: Measured growth of the process in bytes.
        factors: The device's factors; `workspace` is not used.
    """
    bare = replace(factors, workspace=0.0)
    held = [(moment, bare.bytes(moment, len(nodes), variables(nodes), batch)) for moment in training_moments(nodes)]
    if max(one for _, one in held) >= LOWEST_SHARE * grown:
        return 0.0
    return min((LOWEST_SHARE * grown - one) / (moment.workspace * batch) for moment, one in held if moment.workspace)


def fit(found: Sequence[Timed], usual: Rates) -> Rates:
    """Fit non-negative rates that minimise the relative errors of the steps."""
    from scipy.optimize import nnls

    work = np.array([astuple(one.work) for one in found])
    seconds = np.array([one.seconds for one in found])
    scale = float(np.median(seconds / (work @ np.array(astuple(usual)))))
    prior = scale * np.array(astuple(usual))
    known = prior > 0
    rows = np.vstack([work / seconds[:, None], np.diag(PRIOR * known / np.where(known, prior, 1))])
    rates, _ = nnls(rows, np.concatenate([np.ones(len(found)), PRIOR * known]))
    return Rates(**{f.name: float(value) for f, value in zip(fields(Rates), rates, strict=True)})
