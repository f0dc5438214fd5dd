"""Sample training patches.

A sample depends only on seed, fold, step and position in the batch, so a resumed run sees the same patches as an
uninterrupted one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..contracts.labels import overlapping
from ..contracts.plan import Plan
from ..contracts.splits import Intensity
from ..errors import DataError, PocketError
from ..preprocessing.boxes import centred
from ..preprocessing.intensity import Normaliser
from ..preprocessing.store import Store
from .augmentation import augment, drop_modalities
from .targets import possible_classes, regions
from .warp import sample_warp


class Sampler(ABC):
    """Base class: training and validation batches of a fold.

    Args:
        plan: The plan of the training.
        stores: Stores by case name.
        cases: The cases to sample from.
        constants: The fold's intensity constants.
        fold: Number of the fold; part of every sample's random seed.
    """

    def __init__(self, plan: Plan, stores: dict[str, Store], cases: Sequence[str], constants: Sequence[Intensity],
                 fold: int):
        self.plan, self.fold = plan, fold
        self.normalise = Normaliser(plan.preprocessing.normalisation, constants)
        self.stores = [stores[case] for case in cases]

    @abstractmethod
    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return images and classes of a training step."""

    @abstractmethod
    def fixed(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return batches of images and classes for validation, always the same."""

    def stream(self, first: int, last: int, ahead: int = 4) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield (step, images, classes) for all steps; a thread prepares the batches in advance.

        Args:
            first: The first step.
            last: The last step, included.
            ahead: Maximum number of batches prepared in advance.

        Raises:
            DataError: A patch cannot be read; the error names the case.
        """
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="patches") as pool:
            pending: deque[Any] = deque()
            following = first
            try:
                for step in range(first, last + 1):
                    while following <= last and len(pending) < ahead:
                        pending.append(pool.submit(self.batch, following))
                        following += 1
                    image, label = pending.popleft().result()
                    yield step, image, label
            finally:
                for future in pending:
                    future.cancel()


class PatchSampler(Sampler):
    """Random training patches and fixed validation patches of a fold.

    If labels overlap or annotation is incomplete, batches have targets with channels (`targets`), not classes.

    Raises:
        DataError: The plan is for complete annotation, but a store is incompletely annotated.
    """

    def __init__(self, plan: Plan, stores: dict[str, Store], cases: Sequence[str], constants: Sequence[Intensity],
                 fold: int):
        super().__init__(plan, stores, cases, constants, fold)
        partly = [store.case for store in self.stores if store.annotated is not None or store.known is not None]
        if partly and not plan.annotation:
            raise DataError("The plan is for complete annotation, but some cases have unannotated voxels or "
                            "labels.", problems=partly[:20], todo="Create the plan again with pocket-plan.")
        having = ([(store, store.foreground[label.name]) for store in self.stores
                   if len(store.foreground.get(label.name, ()))] for label in plan.labels)
        self._having = [pairs for pairs in having if pairs]

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return images (batch, *patch, channel) float32 and classes (batch, *patch) uint8 of a training step."""
        samples = [self._sample(step, position) for position in range(self.plan.training.batch)]
        return np.stack([image for image, _ in samples]), np.stack([label for _, label in samples])

    def _sample(self, step: int, position: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.plan.seed, self.fold, step, position])
        store = self.stores[rng.integers(len(self.stores))]
        try:
            settings = self.plan.training.augmentation
            store, start = self._random_place(store, rng)
            warp = sample_warp(settings, self.plan.training.patch, store.spacing, rng,
                               self.plan.network.through)
            if warp is None:
                image, label = self._read(store, start, self.plan.training.patch)
            else:
                low, size = warp.box()
                image, label = warp.apply(*self._read(store, tuple(start + low), tuple(size)))
            image, label = augment(image, label, settings, rng)
            if self.plan.training.drop_modality:
                image = drop_modalities(image, self.plan.training.drop_modality, rng)
            return image, self._target(label, store)
        except PocketError:
            raise
        except Exception as error:
            raise DataError(f"A patch of case {store.case} could not be made: {type(error).__name__}: {error}",
                            where=str(store.folder)) from error

    def _random_place(self, store: Store, rng: np.random.Generator) -> tuple[Store, tuple[int, ...]]:
        """Return the store of a patch, which is the given one unless labels are balanced, and the first voxel."""
        patch = self.plan.training.patch
        # Draw all numbers on both branches, so that later numbers do not depend on the branch.
        chance, which, where = rng.random(3)
        corner = rng.random(len(patch))
        labelled = chance < self.plan.training.foreground_fraction
        if labelled and self.plan.training.balanced_labels and self._having:
            having = self._having[int(which * len(self._having))]
            store, voxels = having[rng.integers(len(having))]
            return store, start_around(voxels[int(where * len(voxels))], patch, store.shape)
        present = [name for name in sorted(store.foreground) if len(store.foreground[name])]
        if present and labelled:
            voxels = store.foreground[present[int(which * len(present))]]
            return store, start_around(voxels[int(where * len(voxels))], patch, store.shape)
        if store.known is not None and len(store.known):
            return store, start_around(store.known[int(where * len(store.known))], patch, store.shape)
        return store, tuple(int(c * (n - p + 1)) if n >= p else centred(n, p)
                            for c, p, n in zip(corner, patch, store.shape, strict=True))

    def _target(self, classes: np.ndarray, store: Store) -> np.ndarray:
        if overlapping(self.plan.labels):
            return regions(classes, self.plan.labels, store.annotated)
        return possible_classes(classes, self.plan.labels, store.annotated) if self.plan.annotation else classes

    def _read(self, store: Store, start: tuple[int, ...], size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        image = store.read_image(start, size, lambda x: self.normalise(x, store.statistics))
        return image, store.read_label(start, size)

    def fixed(self, most: int = 32) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return one patch per case for validation, centred on its labelled voxels, without augmentation.

        Args:
            most: Maximum number of cases; the first ones in the fold's order are used.

        Returns:
            Batches of images (batch, *patch, channel) and classes (batch, *patch); the last may be smaller.
        """
        pairs = []
        for store in self.stores[:most]:
            voxels = [voxel for name in store.foreground for voxel in store.foreground[name]]
            voxels = voxels or [*(store.known if store.known is not None else ())]
            centre = (np.min(voxels, axis=0) + np.max(voxels, axis=0)) // 2 if voxels else np.array(store.shape) // 2
            patch = self.plan.training.patch
            image, label = self._read(store, start_around(centre, patch, store.shape), patch)
            pairs.append((image, self._target(label, store)))
        size = self.plan.training.batch
        return [(np.stack([i for i, _ in pairs[k:k + size]]), np.stack([y for _, y in pairs[k:k + size]]))
                for k in range(0, len(pairs), size)]


def start_around(centre: Sequence[int] | np.ndarray, patch: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the first voxel of a patch around `centre`.

    On each axis, the patch is shifted to lie inside the volume; if it is larger, it is centred on the volume.
    """
    start = []
    for c, p, n in zip(centre, patch, shape, strict=True):
        start.append(int(min(max(c - p // 2, 0), n - p)) if n >= p else centred(n, p))
    return tuple(start)
