"""Read a case's reference and prediction and measure every label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..contracts.labels import Label
from ..errors import DataError, UsageError
from ..preprocessing import formats, geometry
from ..preprocessing.label_maps import IGNORED, map_labels, mask
from ..preprocessing.reference import read_label
from . import lesions
from .metrics import crop_both, measure


class Evaluated(NamedTuple):
    """Result of evaluating a model's predictions.

    Attributes:
        summary: JSON object that `pocket-evaluate --json` prints.
        text: The same for a person.
        warnings: One line per unusual finding about a file.
    """

    summary: dict[str, Any]
    text: str
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Sources:
    """What an evaluation reads of the predictions.

    Attributes:
        predictions: Folders of predictions; for a classification, a folder or file with `predictions.csv`.
        measured: Folders of evaluations of some of the cases, which are not measured again.
        part: Only measure these cases, for `measured` of another evaluation.
    """

    predictions: Sequence[Path]
    measured: Sequence[Path] = ()
    part: bool = False


def prediction_path(folders: Sequence[Path], case: str) -> Path:
    """Return the path of a case's prediction: the first existing one of all folders and formats.

    If there is none, return the path of `.nii.gz` in the first folder.
    """
    paths = [folder / f"{case}{suffix}" for suffix in (".nii", *formats.SUFFIXES, *formats.SLICES)
             for folder in folders]
    return next((path for path in paths if path.is_file()), folders[0] / f"{case}.nii.gz")


def check_classes(labels: Sequence[Label], learned: Sequence[Label], where: str) -> None:
    """Check that the manifest's classes are those of the model.

    Args:
        labels: Labels of the manifest.
        learned: Labels of the model.
        where: Manifest and model, for the message.

    Raises:
        UsageError: The classes differ; the message lists both.
    """
    ours, theirs = ({label.name: label.value for label in side} for side in (labels, learned))
    if ours != theirs or [label.parts for label in labels] != [label.parts for label in learned]:
        raise UsageError(f"The manifest's classes {ours} are not the model's {theirs}.", where=where,
                         todo="Give the manifest that the model was trained with.")


def read_pair(reference_path: Path, predicted_path: Path, labels: Sequence[Label],
              label_grid: str | None = None, ignore: int | None = None, warn: Callable[[str], None] = lambda text: None
              ) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """Read a case's reference and prediction as classes on one grid.

    Args:
        reference_path: The case's label file, with the dataset's own values.
        predicted_path: Output of `pocket-infer`, already in classes.
        labels: The manifest's `labels`.
        label_grid: The manifest's `label_grid`; `image` ignores the affine of the reference.
        ignore: The manifest's `ignore`: voxels of this value in the reference are background in both results.
        warn: Receives the unusual findings about the two files, one line each.

    Returns:
        Reference and prediction, uint8 (x, y, z) in RAS+, and the spacing in mm.

    Raises:
        DataError: A file cannot be read, the grids differ, or the prediction has values that are not classes of the
            manifest.
    """
    prediction = geometry.read(predicted_path, label=True)
    reference = read_label(reference_path, label_grid, prediction.grid)
    for volume, what in ((reference, "reference"), (prediction, "prediction")):
        for text in volume.warnings:
            warn(f"{what}: {text}")
    if not geometry.same_grid(reference.grid, prediction.grid):
        raise DataError(f"The prediction lies on another grid than the reference: shape {prediction.grid.shape}, "
                        f"{prediction.grid.orientation}, against {reference.grid.shape}, "
                        f"{reference.grid.orientation}" +
                        ("" if prediction.grid.shape != reference.grid.shape else ", with another affine") + ".",
                        where=f"{predicted_path} and {reference_path}")
    unknown = set(np.unique(prediction.data).tolist()) - {0} - {label.value for label in labels}
    if unknown:
        raise DataError(f"The prediction has values that are not a class of the manifest: {sorted(unknown)}.",
                        where=str(predicted_path))
    known, found = map_labels(reference.data, labels, ignore), prediction.data.astype(np.uint8)
    if ignore is not None:
        found[known == IGNORED] = known[known == IGNORED] = 0
    return known, found, reference.spacing


def measure_case(reference: np.ndarray, prediction: np.ndarray, spacing: Sequence[float],
                 labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Measure each label and return its `label` and the fields of `metrics.Measurement` and `lesions.Lesions`.

    Args:
        reference: Classes, (x, y, z).
        prediction: Classes, (x, y, z).
        spacing: mm along the axes.
        labels: The manifest's `labels`.
    """
    rows = []
    for label in labels:
        masks = mask(reference, label), mask(prediction, label)
        rows.append({"label": label.name, **asdict(measure(*masks, spacing)),
                     **asdict(lesions.measure(*crop_both(*masks)))})
    return rows
