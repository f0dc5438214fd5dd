"""From a model folder and images to a label map in the images' own geometry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..config import SEGMENTATION, Preprocessing
from ..errors import DataError, UsageError
from ..preprocessing import geometry
from ..preprocessing.case import Prepared, prepare, read_images
from ..preprocessing.intensity import normalise
from ..preprocessing.resample import resample
from ..training.model_folder import ModelFolder
from . import engines
from .postprocessing import largest_components
from .windows import sliding_window

Follow = Callable[[list], Iterator]


class Predictor:
    """A trained network, ready to segment.

    Example:
        >>> predictor = Predictor.load("results/demo/models/unet-pocket/fold0")
        >>> predictor.segment_files(["scan.nii.gz"], "scan_seg.nii.gz")
    """

    def __init__(self, model: ModelFolder, engine: engines.Engine):
        self.model, self.engine = model, engine

    @classmethod
    def load(cls, folder: str | Path, *, engine: str = "auto", threads: int | None = None) -> Predictor:
        """Open a model folder, verified by its checksums.

        Args:
            engine: `auto`, `openvino` or `tensorflow`.
            threads: CPU threads; None for all cores.

        Raises:
            UsageError: No such folder or engine.
            DataError: The folder is incomplete or was altered.
        """
        model = ModelFolder.open(folder)
        plan = model.plan
        if plan.task != SEGMENTATION:
            raise UsageError(f"This model is for {plan.task}, not for segmentation.", where=str(folder))
        made = engines.make(engine, model.path, plan.training.patch, plan.network.channels, threads)
        return cls(model, made)

    def __call__(self, image: np.ndarray, spacing: tuple[float, ...], follow: Follow = iter) -> np.ndarray:
        """Segment an array.

        Args:
            image: (x, y, z, channel) or (x, y, z) for one channel; RAS+, in the units of the training images.
            spacing: mm per axis.
            follow: Wraps the list of windows, to show progress.

        Returns:
            (x, y, z) uint8 classes.

        Raises:
            DataError: Another number of channels than the model has, or NaN or infinite voxels.
        """
        plan = self.model.plan
        if image.ndim == 3:
            image = image[..., None]
        if image.shape[-1] != plan.network.channels:
            raise DataError(f"The model takes {plan.network.channels} modalities "
                            f"({', '.join(plan.modalities)}), found {image.shape[-1]}.")
        if not np.isfinite(image).all():
            raise DataError("The image has NaN or infinite voxels.")
        prepared = prepare(image.astype(np.float32, copy=False), spacing, self._preprocessing)
        normalised = normalise(prepared.image, self._preprocessing.normalisation, prepared.statistics,
                               self.model.provenance["intensity"])
        probabilities = sliding_window(normalised, plan.training.patch, plan.network.classes, self.engine,
                                       plan.inference.overlap, plan.inference.gaussian_sigma, follow)
        classes = classes_on_source(probabilities, prepared)
        return largest_components(classes) if plan.inference.largest_component else classes

    @property
    def _preprocessing(self) -> Preprocessing:
        return self.model.plan.preprocessing

    def segment_files(self, images: Sequence[str | Path], output: str | Path, follow: Follow = iter) -> np.ndarray:
        """Segment a case, one file per modality in the model's order, and write the label map.

        Args:
            output: `.nii` or `.nii.gz`; gets the first image's exact affine, shape and orientation.

        Returns:
            The classes in RAS+, (x, y, z) uint8.

        Raises:
            DataError: An image cannot be read or does not fit the others or the model.
        """
        image, volume = read_images(images)
        classes = self(image, volume.spacing, follow)
        geometry.write(output, classes, volume.grid)
        return classes


def classes_on_source(probabilities: np.ndarray, prepared: Prepared) -> np.ndarray:
    """The most probable class per voxel of the source grid; outside the crop it is background.

    Probabilities are resampled linearly, one class at a time, so that no second copy of all is held.

    Args:
        probabilities: (x, y, z, classes) on the prepared grid.

    Returns:
        (x, y, z) uint8 of `prepared.source_shape`.
    """
    out = np.zeros(prepared.source_shape, np.uint8)
    inside = tuple(slice(start, stop) for start, stop in prepared.box)
    shape = tuple(stop - start for start, stop in prepared.box)
    if shape == probabilities.shape[:-1]:
        out[inside] = probabilities.argmax(axis=-1)
        return out
    best = np.zeros(shape, np.float32)
    for value in range(probabilities.shape[-1]):
        candidate = resample(np.ascontiguousarray(probabilities[..., value]), shape)
        better = candidate > best
        best[better] = candidate[better]
        out[inside][better] = value
    return out
