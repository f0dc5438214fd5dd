"""Segment stores with a network that was just trained: the windows, normalisation and merging of the predictor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts.case import Statistics
from ..contracts.labels import overlapping
from ..preprocessing.store import Store
from ..training.model_folder import ModelFolder
from . import engines, ensemble, threads, windows
from .merge import last_region, merge, most_likely
from .run import CasePrediction, Clock


class StoredScan:
    """A store, read plane by plane as a `run.Planes`."""

    def __init__(self, store: Store):
        self._store = store

    @property
    def statistics(self) -> Sequence[Statistics]:
        """Statistics for the normalisation."""
        return self._store.statistics

    def planes(self, start: int, stop: int) -> np.ndarray:
        """Return the planes from `start` to `stop` along z, (x, y, planes, channel) float32, not normalised."""
        x, y, _ = self._store.shape
        return self._store.read_image((0, 0, start), (x, y, stop - start))


class StorePredictor:
    """A network that segments stores on their own grid, with the plan's windows and without postprocessing.

    Args:
        model: The model folder. Its checksums are not needed.
        cpu_threads: CPU threads; None for all cores.
    """

    def __init__(self, model: ModelFolder, cpu_threads: int | None = None):
        self.plan, patch = model.plan, model.plan.training.patch
        name = engines.choose("auto", model.path)
        engine = engines.make(name, model.path, patch, model.plan.network.channels, cpu_threads)
        self._share = threads.share(cpu_threads)
        mirrors = ensemble.mirrors_of(model.plan) if model.plan.inference.mirrored else [()]
        self._member = ensemble.Member(model, engine, mirrors, len(mirrors), self._share)

    def __call__(self, store: Store) -> np.ndarray:
        """Return the classes of a store, (x, y, z) uint8."""
        plan = self.plan
        tiling = windows.overlapping(store.shape, plan.training.patch, plan.inference.overlap,
                                     plan.inference.gaussian_sigma)
        run = CasePrediction(plan, [self._member], StoredScan(store), tiling, False, Clock())
        out = np.zeros(store.shape, np.uint8)
        choose = last_region if overlapping(plan.labels) else most_likely
        for start, planes in merge(tiling, run.channels, run.members, share=self._share):
            out[:, :, start: start + planes.shape[2]] = choose(planes[..., : plan.network.classes])
        return out
