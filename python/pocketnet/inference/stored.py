"""Segment stores with a trained network: the windows, normalisation and merging of the predictor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import cast

import numpy as np

from ..contracts.case import Statistics
from ..contracts.labels import overlapping
from ..preprocessing.boxes import whole, zero_faces
from ..preprocessing.store import Store
from ..training.model_folder import ModelFolder
from . import engines, ensemble, memory, threads
from .merge import last_region, merge, most_likely
from .run import CasePrediction, Clock
from .windows import Tiling


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

    def part(self, region: tuple[slice, ...]) -> np.ndarray:
        """Return a part of the image, (x, y, z, channel) float32, not normalised."""
        return self._store.read_image(tuple(one.start for one in region), tuple(one.stop - one.start for one in region))


class StorePredictor:
    """A network that segments stores on their own grid, without postprocessing.

    The network is compiled for the windows of the last store, and again for other ones.

    Args:
        model: The model folder. Its checksums are not needed.
        cpu_threads: CPU threads; None for all cores.
    """

    def __init__(self, model: ModelFolder, cpu_threads: int | None = None):
        self.model, self.plan, self._threads = model, model.plan, cpu_threads
        self.engine_name = engines.choose("auto", model.path)
        self._share = threads.share(cpu_threads)
        self._mirrors = ensemble.mirrors_of(model.plan) if model.plan.training.augmentation.mirrors else [()]
        self._made: tuple[tuple[int, ...], engines.Engine] | None = None

    @property
    def mirrored_passes(self) -> int:
        """Number of predictions that are averaged with mirroring; 1 if training does not mirror."""
        return len(self._mirrors)

    def engine(self, window: tuple[int, ...]) -> engines.Engine:
        """Return the engine for a window size.

        Raises:
            DataError: The network takes no windows of this size.
        """
        if self._made is None or self._made[0] != window:
            self._made = None
            self._made = window, engines.make(self.engine_name, self.model.path, window,
                                              self.plan.network.channels, self._threads)
        return self._made[1]

    def tiling(self, store: Store, choice: str) -> Tiling:
        """Return the windows of a store: the largest ones within the default memory.

        Args:
            store: The store.
            choice: One of `decisions.WINDOW_CHOICES`.
        """
        shape, channels = store.shape, self.plan.network.channels
        found = memory.tilings(self.plan, shape, choice, self._zero_border(store))
        if len(found) == 1:
            return found[0]
        voxels = math.prod(shape)
        extent = memory.Extent(shape, channels, voxels, 4 * voxels * channels)
        return memory.fitting(found, lambda tiling: memory.need(
            extent, tiling, self.plan.network.classes, self._activation_mib * math.prod(tiling.window)),
            None, store.case)[0]

    def __call__(self, store: Store, tiling: Tiling | None = None, mirrored: bool = False) -> np.ndarray:
        """Return the classes of a store, (x, y, z) uint8.

        Args:
            store: The store.
            tiling: The windows; None for the plan's.
            mirrored: Whether to average over mirrored images.
        """
        plan, tiling = self.plan, tiling or self.tiling(store, "plan")
        mirrors = self._mirrors if mirrored else [()]
        member = ensemble.Member(self.model, self.engine(tiling.window), mirrors, len(mirrors), self._share)
        run = CasePrediction(plan, [member], StoredScan(store), tiling, False, Clock())
        out = np.zeros(store.shape, np.uint8)
        choose = last_region if overlapping(plan.labels) else most_likely
        for start, planes in merge(tiling, run.channels, run.members, share=self._share):
            out[:, :, start: start + planes.shape[2]] = choose(planes[..., : plan.network.classes])
        return out

    @cached_property
    def _activation_mib(self) -> float:
        """Memory of the network's activations per voxel of a window."""
        patch = self.plan.training.patch
        return cast(engines.OpenVinoEngine, self.engine(patch)).activation_mib / math.prod(patch)

    def _zero_border(self, store: Store) -> bool:
        """Return `scan.PreparedScan.background_is_zero` of the store."""
        return (self.plan.preprocessing.normalisation == "zscore"
                and zero_faces(StoredScan(store).part, whole(store.shape)))
