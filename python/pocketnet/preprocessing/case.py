"""A case from its files to what the network sees, and a result back to the case's own grid.

Training and inference both go through `prepare`, so a model cannot be fed otherwise than it was trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import Label, Preprocessing
from ..errors import DataError
from . import geometry
from .intensity import statistics_for
from .resample import Box, crop, foreground_box, resample, resampled_shape


@dataclass(frozen=True)
class Prepared:
    """A case, cropped and resampled, not yet normalised.

    Attributes:
        image: (x, y, z, channel), float32, RAS+.
        spacing: mm per axis of `image`.
        source_shape: Voxels per RAS+ axis before cropping.
        box: What was cropped to, (start, stop) per axis in `source_shape`.
        statistics: `statistics_for` the plan's normalisation of `image`.
    """

    image: np.ndarray
    spacing: tuple[float, ...]
    source_shape: tuple[int, ...]
    box: Box
    statistics: list[dict]


def read_images(paths: Sequence[str | Path]) -> tuple[np.ndarray, geometry.Volume]:
    """Read a case's modalities, one file each.

    Returns:
        (x, y, z, channel) float32 in RAS+, and the first modality's volume with its grid.

    Raises:
        DataError: A file cannot be read, has NaN or infinite voxels, or lies on another grid than the first.
    """
    volumes = [geometry.read(path) for path in paths]
    problems = []
    for path, volume in zip(paths, volumes, strict=True):
        if not geometry.same_grid(volume.grid, volumes[0].grid):
            problems.append(f"{path}: shape {volume.grid.shape}, spacing {_round(volume.grid.spacing)} mm, "
                            f"orientation {volume.grid.orientation}")
        if not np.isfinite(volume.data).all():
            problems.append(f"{path}: {int((~np.isfinite(volume.data)).sum())} voxels are NaN or infinite")
    if problems:
        first = volumes[0].grid
        raise DataError(f"The modalities cannot be used together; the first has shape {first.shape}, spacing "
                        f"{_round(first.spacing)} mm, orientation {first.orientation}.", problems=problems)
    return np.stack([volume.data for volume in volumes], axis=-1), volumes[0]


def _round(values) -> tuple[float, ...]:
    return tuple(round(v, 3) for v in values)


def map_labels(values: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
    """A dataset's label map to classes 0…K (uint8); values of no class become background."""
    out = np.zeros(values.shape, np.uint8)
    for label in labels:
        out[np.isin(values, label.source_values)] = label.value
    return out


def prepare(image: np.ndarray, spacing: tuple[float, ...], preprocessing: Preprocessing) -> Prepared:
    """Crop and resample an image.

    Args:
        image: (x, y, z, channel), RAS+.
        spacing: mm per axis.
    """
    box = foreground_box(image) if preprocessing.crop == "nonzero" else tuple((0, n) for n in image.shape[:-1])
    cropped = np.ascontiguousarray(crop(image, box))
    target = preprocessing.spacing_mm or spacing
    shape = resampled_shape(cropped.shape[:-1], spacing, target)
    resampled = resample(cropped, shape)
    return Prepared(resampled, tuple(float(t) for t in target), image.shape[:-1], box,
                    statistics_for(resampled, preprocessing.normalisation))


def prepare_label(label: np.ndarray, prepared: Prepared) -> np.ndarray:
    """Crop and resample a case's label map (x, y, z) as its image was."""
    return resample(np.ascontiguousarray(crop(label, prepared.box)), prepared.image.shape[:-1], label=True)
