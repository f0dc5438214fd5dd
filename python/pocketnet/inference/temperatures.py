"""Calibrate probabilities with the temperatures of a model folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..contracts.labels import Label, overlapping
from ..contracts.temperatures import Temperatures
from ..errors import DataError
from ..evaluation import temperature
from ..training.model_folder import ModelFolder

FILE = "temperatures.json"


def of_model(model: ModelFolder) -> Temperatures | None:
    """Return the temperatures of a model folder; None without any.

    Raises:
        DataError: They are of another network.
    """
    if FILE not in model.sha256:
        return None
    found = Temperatures.read(model.path / FILE)
    names, own = [one.label for one in found.labels], [label.name for label in model.labels]
    problems = [] if model.provenance.run_key in found.run_keys else [
        f"run_keys: found {', '.join(found.run_keys)}, expected one to be {model.provenance.run_key}"]
    problems += [] if names == own else [f"labels: found {', '.join(names)}, expected {', '.join(own)}"]
    if problems:
        raise DataError("These temperatures are of another network.", problems=problems, where=str(model.path / FILE),
                        todo="Calibrate the network with pocket-calibrate.")
    return found


def why_none(models: Sequence[ModelFolder], predictions: int) -> str:
    """Return why probabilities are not calibrated; empty if they are.

    Args:
        models: The models that predict.
        predictions: Number of predictions that are averaged at each voxel.
    """
    if len(models) > 1:
        return "several models are averaged, and temperatures are of one"
    known = of_model(models[0])
    if known is None:
        return "the model folder has no temperatures (pocket-calibrate --splits --stores adds them)"
    if known.predictions != predictions:
        return (f"the temperatures are of {known.predictions} averaged predictions per voxel, here are {predictions} "
                "(with --tta or without)")
    return ""


def calibrator(models: Sequence[ModelFolder], predictions: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that calibrates probabilities (…, classes), one label at a time; arguments as of `why_none`.

    The background and labels without a temperature stay as they are. So do all without temperatures.
    """
    known = None if why_none(models, predictions) else of_model(models[0])
    if known is None:
        return lambda probabilities: probabilities
    labels = models[0].labels
    channels = {channel_of(label, labels): temperature.Scaling(one.temperature, one.bias)
                for label, one in zip(labels, known.labels, strict=True)
                if one.temperature is not None and one.bias is not None}

    def calibrate(probabilities: np.ndarray) -> np.ndarray:
        out = probabilities.copy()
        for channel, scaling in channels.items():
            out[..., channel] = temperature.calibrated(probabilities[..., channel], scaling)
        return out

    return calibrate


def channel_of(label: Label, labels: Sequence[Label]) -> int:
    """Return the channel of a label in the network's output; channel 0 is the background unless labels overlap."""
    return label.value - (1 if overlapping(labels) else 0)
