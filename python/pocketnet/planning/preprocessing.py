"""A preset's rules for preprocessing, resolved to numbers by what the check measured."""

from __future__ import annotations

import numpy as np

from ..errors import DataError


def resolve(manifest: dict, fingerprint: dict) -> dict:
    """The `preprocessing` section of a plan.

    Preprocessing happens once for all folds, so a rule for the target spacing sees every labelled case that is
    not in a listed test set (as nnU-Net's does); intensity constants are each fold's own (`splits.py`).

    Args:
        manifest: Its `preprocessing` may have a rule for `spacing_mm` (see `target_spacing`), and
            `normalisation` `by_modality`: `window` when every modality is CT, else `zscore`.
        fingerprint: `fingerprint.json`.

    Raises:
        DataError: A rule, and no case to go by.
    """
    resolved = dict(manifest["preprocessing"])
    if isinstance(resolved["spacing_mm"], dict):
        cases = training_cases(manifest)
        if not cases:
            raise DataError("The target spacing goes by the training cases, and there are none with a label.")
        resolved["spacing_mm"] = target_spacing(
            resolved["spacing_mm"], [fingerprint["cases"][case]["spacing_mm"] for case in cases])
    if resolved["normalisation"] == "by_modality":
        only_ct = all(modality.upper() == "CT" for modality in manifest["modalities"])
        resolved["normalisation"] = "window" if only_ct else "zscore"
    return resolved


def training_cases(manifest: dict) -> list[str]:
    """The labelled cases that are in no listed test set."""
    test = manifest.get("split", {}).get("test", ())
    return [case["case"] for case in manifest["cases"] if case["label"] and case["case"] not in test]


def target_spacing(rule: dict, spacings: list[list[float]]) -> list[float]:
    """A target spacing by a rule.

    Args:
        rule: `percentile` of the cases' spacings, per axis (50 is the median); where there is a
            `through_plane_percentile`, this one along the axis whose median spacing is the largest, or the last
            of several.
        spacings: mm per RAS+ axis, a case each.

    Returns:
        mm per RAS+ axis, to the micrometre's thousandth.
    """
    values = np.asarray(spacings, dtype=np.float64)
    target = np.percentile(values, rule["percentile"], axis=0)
    if "through_plane_percentile" in rule:
        median = np.median(values, axis=0)
        axis = len(median) - 1 - int(np.argmax(median[::-1]))
        target[axis] = np.percentile(values[:, axis], rule["through_plane_percentile"])
    return [round(float(value), 6) for value in target]


def median_shape(manifest: dict, fingerprint: dict, preprocessing: dict) -> tuple[list[float], list[float]]:
    """The median case after cropping and resampling.

    Args:
        preprocessing: As `resolve` gave it.

    Returns:
        Voxels and mm, per RAS+ axis.
    """
    key = "cropped_shape" if preprocessing["crop"] == "nonzero" else "shape"
    target = preprocessing["spacing_mm"]
    if target is None:
        return fingerprint["summary"][key], fingerprint["summary"]["spacing_mm"]
    cases = [fingerprint["cases"][case] for case in training_cases(manifest) or fingerprint["cases"]]
    shapes = np.array([case[key] for case in cases]) * np.array([case["spacing_mm"] for case in cases]) / target
    return np.median(shapes, axis=0).tolist(), target
