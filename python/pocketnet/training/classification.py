"""Training a classifier: the images of a batch, and the validation scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np

from ..contracts.labels import Label
from ..contracts.plan import Plan
from ..contracts.splits import Intensity
from ..errors import DataError, PocketError
from ..preprocessing.store import Store
from .augmentation import augment
from .sampling import Sampler

SAMPLES = "images"
COLUMNS = ("validation_auc", "validation_accuracy")


class ImageSampler(Sampler):
    """Whole images of a fold: shuffled again in each pass for training, without augmentation for validation.

    Args:
        plan: Defines size, batch, augmentation, normalisation and classes.
        stores: Stores by case name.
        cases: The cases to sample from.
        constants: The fold's intensity constants.
        fold: Number of the fold; part of every sample's random seed.

    Raises:
        DataError: A store has no class, a class that is not in the plan, or a size other than the plan's.
    """

    def __init__(self, plan: Plan, stores: dict[str, Store], cases: Sequence[str], constants: Sequence[Intensity],
                 fold: int):
        super().__init__(plan, stores, cases, constants, fold)
        values = {label.name: label.value for label in plan.labels}
        problems = [f"{store.case}: class {store.class_name!r}, {'×'.join(map(str, store.shape))}"
                    for store in self.stores
                    if store.class_name not in values or store.shape != tuple(plan.training.patch)]
        if problems:
            raise DataError(f"These stores are not images of {'×'.join(map(str, plan.training.patch))} with one of the "
                            f"classes {', '.join(values)}.", problems=problems, todo="Preprocess them again.")
        self.classes = [values[cast(str, store.class_name)] for store in self.stores]
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return images (batch, row, column, channel) float32 and classes (batch,) uint8 of a training step."""
        size = self.plan.training.batch
        samples = [self._sample((step - 1) * size + position) for position in range(size)]
        return np.stack([image for image, _ in samples]), np.array([value for _, value in samples], np.uint8)

    def _shuffled(self, turn: int) -> np.ndarray:
        """Return the order of the images in a pass, a pure function of seed, fold and pass."""
        return np.random.default_rng([self.plan.seed, self.fold, 0, turn]).permutation(len(self.stores))

    def _sample(self, number: int) -> tuple[np.ndarray, int]:
        turn, place = divmod(number, len(self.stores))
        index = int(self._order(turn)[place])
        rng = np.random.default_rng([self.plan.seed, self.fold, 1, number])
        image = self._read(self.stores[index])
        return augment(image, image[..., 0], self.plan.training.augmentation, rng)[0], self.classes[index]

    def _read(self, store: Store) -> np.ndarray:
        try:
            return store.read_image((0, 0), store.shape, lambda image: self.normalise(image, store.statistics))
        except PocketError:
            raise
        except Exception as error:
            raise DataError(f"The image of case {store.case} could not be read: {type(error).__name__}: {error}",
                            where=str(store.folder)) from error

    def fixed(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return every image once, without augmentation, for validation.

        Returns:
            Batches of images (batch, row, column, channel) and classes (batch,); the last may be smaller.

        Raises:
            DataError: All images are of one class, so the AUC is undefined.
        """
        if len(set(self.classes)) < 2:
            raise DataError("All validation images belong to one class.",
                            problems=[store.case for store in self.stores][:20], todo="Create the splits again.")
        size = self.plan.training.batch
        return [(np.stack([self._read(store) for store in self.stores[k:k + size]]),
                 np.array(self.classes[k:k + size], np.uint8)) for k in range(0, len(self.stores), size)]


SAMPLER = ImageSampler


def of_batch(probabilities: np.ndarray, label: np.ndarray, labels: Sequence[Label]
             ) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities (batch, classes) and classes (batch,) of a validation batch."""
    return probabilities, label


def scores(batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Return the area under the ROC curve and the accuracy.

    With two classes, the area is that of the second; with more, the mean over classes, each against the rest.

    Args:
        batches: Probabilities (batch, classes) and classes (batch,).
    """
    from ..evaluation.roc import auc

    probabilities = np.concatenate([p for p, _ in batches])
    true = np.concatenate([y for _, y in batches])
    values = range(probabilities.shape[-1]) if probabilities.shape[-1] > 2 else (1,)
    areas = [auc(probabilities[:, v], true == v) for v in values if 0 < (true == v).sum() < len(true)]
    accuracy = (probabilities.argmax(axis=-1) == true).mean()
    return dict(zip(COLUMNS, (float(np.mean(areas)), float(accuracy)), strict=True))
