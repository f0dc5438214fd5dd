"""This processor's rates, by a few short training steps of networks of every kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from ..models.network import Network
from .configuration import Configuration
from .speed import Rates, Work

CASES = (("unet", "pocket", 3, 32, 2), ("resnet", "full", 3, 32, 2), ("densenet", "pocket", 3, 32, 4),
         ("unet", "full", 4, 64, 1), ("hrnet", "pocket", 3, 32, 2), ("unet", "pocket", 4, 64, 1))
"""Architecture, width, depth, patch side, batch."""
STEPS, WARM_UP = 3, 1
BUDGET_SECONDS = 45
FEWEST = 3
PRIOR = 0.1
"""Weight of the rates' usual proportions, beside 1 for each measured step: few steps cannot tell all rates apart."""


@dataclass(frozen=True)
class Timed:
    """A configuration's work and how long it took."""

    name: str
    work: Work
    seconds: float


def calibrate(usual: Rates, threads: int | None = None, tell: Callable[[str], object] = lambda line: None
              ) -> tuple[Rates, list[Timed]]:
    """Measure this processor in float32, in this process, in under a minute.

    Args:
        usual: Rates whose proportions stand in for what the steps don't tell.
        threads: CPU threads, as `backend.configure` was told.
        tell: Gets a line a configuration.

    Returns:
        The rates, and what they were fitted to.
    """
    from ..models.build import build
    from .measure import training_step
    from .predict import nodes_of
    from .speed import training_work

    begin = time.monotonic()
    found: list[Timed] = []
    for arch, width, depth, side, batch in CASES:
        if len(found) >= FEWEST and time.monotonic() - begin > BUDGET_SECONDS:
            break
        network = Network(arch=arch, width=width, depth=depth)
        configuration = Configuration(network, (side,) * 3, batch, steps=STEPS, warm_up=WARM_UP, threads=threads)
        measured = training_step(build(network, configuration.patch), configuration)
        work = training_work(nodes_of(network, configuration.patch, "float32"), batch)
        found.append(Timed(configuration.describe(), work, measured["step_seconds"]))
        tell(f"{found[-1].name}: {found[-1].seconds:.3f} s")
    return fit(found, usual), found


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
