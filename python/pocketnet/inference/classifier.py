"""Classify images with a trained model folder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..contracts.tasks import CLASSIFICATION, check_task
from ..errors import DataError
from ..preprocessing import ranges
from ..preprocessing.picture import empty, prepare, read_images
from ..text import counted
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
            DataError: The number of channels differs from the model's, a value is not finite, or all pixels of a
                channel have the same value.
        """
        image = self._checked(image)
        _warn(self.findings(image))
        return self.classify(image)

    def classify(self, image: np.ndarray) -> np.ndarray:
        """Do the same without warnings about the image; see `findings`."""
        image = self._checked(image)
        prepared = prepare(image.astype(np.float32, copy=False), self.model.plan.preprocessing)
        normalised = self.model.normaliser(prepared.image, prepared.statistics)
        return self.engine(normalised[None])[0].copy()

    def findings(self, image: np.ndarray) -> list[str]:
        """Return in what an image (row, column, channel) is unlike the training images.

        An image with more pixels is not unlike them, because images are resized. A model folder without ranges (trained
        before there were any) finds nothing.

        Raises:
            DataError: As for a call.
        """
        image, seen = self._checked(image), self.model.provenance.ranges
        if seen is None:
            return []
        found = [ranges.measure(image[..., channel]) for channel in range(image.shape[-1])]
        return [*ranges.unlike_in_intensity(seen, found), *ranges.too_small(seen, image.shape[:2])]

    def _checked(self, image: np.ndarray) -> np.ndarray:
        """Return the image with its channel axis, or raise what a call raises."""
        plan = self.model.plan
        image = image[..., None] if image.ndim == 2 else image
        if image.shape[-1] != plan.network.channels:
            raise DataError(f"The model takes {counted(plan.network.channels, 'image')} per case "
                            f"({', '.join(plan.modalities)}), found {image.shape[-1]}.")
        if not np.isfinite(image).all():
            raise DataError("The image has NaN or infinite pixels.")
        for channel in range(image.shape[-1]):
            if fault := empty(image[..., channel]):
                raise DataError(f"The image cannot be used: {fault}.")
        return image

    def classify_files(self, images: Sequence[str | Path]) -> dict[str, float]:
        """Return the probability of each class for a case. Unusual findings about an image are Python warnings.

        Args:
            images: One file per modality, in the model's order.

        Raises:
            DataError: An image cannot be decoded, or does not match the others or the model.
        """
        image = read_images(images)
        _warn(self.findings(image))
        return self.by_class(self.classify(image))

    def by_class(self, probabilities: np.ndarray) -> dict[str, float]:
        """Return the probabilities by the name of their class."""
        return {name: float(value) for name, value in zip(self.classes, probabilities, strict=True)}


def _warn(findings: Sequence[str]) -> None:
    """Pass the findings about an image on to the caller's program."""
    for text in findings:
        warnings.warn(text, stacklevel=3)
