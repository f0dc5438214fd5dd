"""From a classifier's model folder and images to class probabilities."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import files
from ..errors import DataError, UsageError
from ..preprocessing.intensity import normalise
from ..preprocessing.picture import prepare, read_images
from ..training.model_folder import ModelFolder
from . import engines

TABLE = "predictions.csv"
PREFIX = "probability_"


class Classifier:
    """A trained classifier.

    Example:
        >>> classifier = Classifier.load("results/covidx/models/classifier-pocket/fold0")
        >>> classifier.classify_files(["xray.png"])
        {'negative': 0.93, 'positive': 0.07}
    """

    def __init__(self, model: ModelFolder, engine: engines.Engine):
        self.model, self.engine = model, engine
        self.classes = [label.name for label in sorted(model.plan.labels, key=lambda label: label.value)]

    @classmethod
    def load(cls, folder: str | Path, *, engine: str = "auto", threads: int | None = None) -> Classifier:
        """Open a model folder, verified by its checksums; arguments and errors as of `Predictor.load`.

        Raises:
            UsageError: It is not a classifier's, there is none, or no such engine.
            DataError: The folder is incomplete or was altered.
        """
        model = ModelFolder.open(folder)
        plan = model.plan
        if plan.task != "classification":
            raise UsageError(f"This model is for {plan.task}, not for classification.", where=str(folder))
        return cls(model, engines.make(engine, model.path, plan.training.patch, plan.network.channels, threads))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Class probabilities of an image.

        Args:
            image: (row, column, channel) or (row, column) for one channel, of any size, in the units of the training
                images.

        Returns:
            (classes,) float32, which add up to 1.

        Raises:
            DataError: Another number of channels than the model has, or values that are not finite.
        """
        plan = self.model.plan
        image = image[..., None] if image.ndim == 2 else image
        if image.shape[-1] != plan.network.channels:
            raise DataError(f"The model takes {plan.network.channels} images a case ({', '.join(plan.modalities)}), "
                            f"found {image.shape[-1]}.")
        if not np.isfinite(image).all():
            raise DataError("The image has NaN or infinite pixels.")
        prepared = prepare(image.astype(np.float32, copy=False), plan.preprocessing)
        normalised = normalise(prepared.image, plan.preprocessing.normalisation, prepared.statistics,
                               self.model.provenance.intensity)
        return self.engine(normalised[None])[0].copy()

    def classify_files(self, images: Sequence[str | Path]) -> dict[str, float]:
        """Probability by class of a case, one file a modality.

        Raises:
            DataError: An image cannot be decoded, or does not fit the others or the model.
        """
        probabilities = self(read_images(images))
        return {name: float(value) for name, value in zip(self.classes, probabilities, strict=True)}


def write_table(path: Path, found: Mapping[str, Mapping[str, float]], classes: Sequence[str]) -> None:
    """Write class probabilities: a row a case with the columns `case`, `predicted` and `probability_<class>`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["case", "predicted", *(PREFIX + name for name in classes)])
    for case, values in found.items():
        writer.writerow([case, max(classes, key=values.__getitem__), *(f"{values[name]:.9g}" for name in classes)])
    files.write_text(path, out.getvalue())


def read_table(path: Path, classes: Sequence[str]) -> dict[str, list[float]]:
    """Probabilities by case, in the order of `classes`.

    Raises:
        UsageError: The file is not there.
        DataError: It is not such a table: a column is missing, a case is there twice, a value is no probability.
    """
    columns = [PREFIX + name for name in classes]
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
    except FileNotFoundError:
        raise UsageError("There are no predictions here.", where=str(path),
                         todo="Make them with pocket-infer.") from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"These predictions cannot be read: {error}", where=str(path)) from None
    missing = [name for name in ("case", *columns) if rows and rows[0].get(name) is None]
    if missing:
        raise DataError(f"These predictions lack the columns {', '.join(missing)}.", where=str(path),
                        todo="Make them with pocket-infer and the model of these classes.")
    out: dict[str, list[float]] = {}
    problems = []
    for row in rows:
        try:
            values = [float(row[name]) for name in columns]
        except (TypeError, ValueError):
            values = []
        if not values or not all(0 <= value <= 1 for value in values) or abs(sum(values) - 1) > 1e-3:
            problems.append(f"{row['case']}: {[row[name] for name in columns]} are not probabilities that add up to 1")
        elif row["case"] in out:
            problems.append(f"{row['case']}: there twice")
        else:
            out[row["case"]] = values
    if problems:
        raise DataError("These predictions cannot be used.", problems=problems, where=str(path))
    return out
