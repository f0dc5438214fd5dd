"""The statement with each case at inference, and the table of features that `pocket-calibrate` learns from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import outputs
from ..contracts import features
from ..contracts.calibration import Calibration
from ..evaluation.statement.apply import Statement, statement
from .volumes_table import SEPARATOR, locked

if TYPE_CHECKING:
    from .predictor import Predictor
    from .run import Segmentation


def calibration_of(predictor: Predictor) -> Calibration | None:
    """Return the calibration of what the predictor predicts; None without one."""
    return None if why_none(predictor) else predictor.model.calibration


def why_none(predictor: Predictor) -> str:
    """Return why there is no statement with each case; empty if there is one."""
    known = predictor.model.calibration
    if len(predictor.models) > 1:
        return "several models are averaged, and a calibration is of one"
    if known is None:
        return "the model folder has no calibration (pocket-calibrate adds one)"
    if known.predictions != predictor.predictions:
        return (f"the calibration is of {known.predictions} averaged predictions per voxel, here are "
                f"{predictor.predictions} (with --tta or without)")
    return "modalities are missing" if predictor.options.missing else ""


def make(predictor: Predictor, found: Segmentation, volumes: Mapping[str, Mapping[str, Any]], unlike: list[str]
         ) -> Statement | None:
    """Return the statement on a case; None without a calibration.

    Args:
        predictor: What predicted it.
        found: The prediction, with features.
        volumes: `volume_ml` of each label.
        unlike: Its differences from the training images (`Predictor.unlike`).
    """
    known = calibration_of(predictor)
    if known is None or found.features is None:
        return None
    return statement(known, found.features, {name: row["volume_ml"] for name, row in volumes.items()}, unlike,
                     predictor.options.accept, predictor.options.reject)


def columns(said: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return what `volumes.csv` has of a statement (as JSON), by label; empty without one."""
    return {} if said is None else {name: {
        "expected_dice": _digits(one["expected_dice"]), "dice_low": _digits(one["dice_low"]),
        **dict(zip(("volume_low_ml", "volume_high_ml"), map(_digits, one["volume_ml"] or ()), strict=False)),
        "flag": said["flag"], "reasons": SEPARATOR.join(said["reasons"])} for name, one in said["labels"].items()}


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def update_features(path: Path, found: Mapping[str, features.Recorded]) -> None:
    """Add cases to the table of features, or replace their rows; the rows of other cases stay.

    Raises:
        DataError: The table is damaged.
        UsageError: The table is not ours to replace.
    """
    if found:
        with locked(path.parent):
            outputs.check_files({path: None}, shared=True)
            features.write(path, features.read(path) | dict(found))
