"""A made calibration, for tests of where its statements go."""

from __future__ import annotations

from pathlib import Path

from pocketnet.contracts.calibration import Calibration, ExpectedDice, LabelCalibration, Novelty, Standard
from pocketnet.training.model_folder import CALIBRATION, ModelFolder, write_checksums

STANDARD = Standard(("soft_dice",), (0.5,), (0.5,))
NOVELTY = Novelty(STANDARD, ((1.0,),), 5.0)


def add_calibration(folder: Path, predictions: int = 1) -> Path:
    """A calibration of the model that expects a Dice of 0.8 of every case, and at least 0.7."""
    model = ModelFolder.open(folder)
    dice = ExpectedDice(STANDARD, (0.0,), 0.8, 0.1)
    labels = tuple(LabelCalibration(label.name, 30, dice, (-0.1, 0.1), NOVELTY, 0, 0, None) for label in model.labels)
    image = Novelty(Standard(("spacing_x",), (0.0,), (0.1,)), ((1.0,),), 5.0)
    Calibration(model.provenance.dataset, "unet", "pocket", (0,), (model.provenance.run_key,), predictions, 30, 0.9,
                0.6, 0.5, image, labels, None).write(folder / CALIBRATION)
    write_checksums(folder)
    return folder
