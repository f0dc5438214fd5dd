"""Classify images with a trained model folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..contracts.tasks import CLASSIFICATION, check_task
from ..errors import DataError
from ..preprocessing.picture import prepare, read_images
from ..training.model_folder import ModelFolder
from . import engines


class Classifier:
    """A trained classifier.

    Example:
        >>> classifier = Classifier.load("results/covidx/models/classifier-pocket/fold0")
        >>> classifier.classify_files(["xray.png"])
        {'negative': 0.93, 'positive': 0.07}
    """

    task = CLASSIFICATION

    def __init__(self, model: ModelFolder, engine: engines.Engine):
        self.model, self.engine = model, engine
        self.classes = [label.name for label in sorted(model.plan.labels, key=lambda label: label.value)]

    @classmethod
    def load(cls, folder: str | Path, *, engine: str = "auto", threads: int | None = None) -> Classifier:
        """Open a model folder and verify its checksums.

        Args:
            folder: The model folder of a classifier.
            engine: `auto`, or one of `engines.ENGINES`.
            threads: CPU threads; None for all cores.

        Raises:
            UsageError: The folder does not exist, its model is not a classifier, or the engine is unknown.
            DataError: The folder is incomplete or was altered.
        """
        model = ModelFolder.open(folder)
        plan = model.plan
        check_task(plan.task, cls.task, folder)
        return cls(model, engines.make(engine, model.path, plan.training.patch, plan.network.channels, threads))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the class probabilities of an image.

        Args:
            image: (row, column, channel), or (row, column) for one channel; any size, with the intensity units of the
                training images.

        Returns:
            (classes,) float32, with sum 1.

        Raises:
            DataError: The number of channels differs from the model's, or a value is not finite.
        """
        plan = self.model.plan
        image = image[..., None] if image.ndim == 2 else image
        if image.shape[-1] != plan.network.channels:
            raise DataError(f"The model takes {plan.network.channels} images per case ({', '.join(plan.modalities)}), "
                            f"found {image.shape[-1]}.")
        if not np.isfinite(image).all():
            raise DataError("The image has NaN or infinite pixels.")
        prepared = prepare(image.astype(np.float32, copy=False), plan.preprocessing)
        normalised = self.model.normaliser(prepared.image, prepared.statistics)
        return self.engine(normalised[None])[0].copy()

    def classify_files(self, images: Sequence[str | Path]) -> dict[str, float]:
        """Return the probability of each class for a case.

        Args:
            images: One file per modality, in the model's order.

        Raises:
            DataError: An image cannot be decoded, or does not match the others or the model.
        """
        probabilities = self(read_images(images))
        return {name: float(value) for name, value in zip(self.classes, probabilities, strict=True)}
