"""Resolve the preprocessing rules of a dataset to numbers, using its fingerprint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts.fingerprint import Fingerprint
from ..contracts.manifest import Manifest, SpacingRule
from ..contracts.plan import Preprocessing
from ..errors import DataError


def resolve(manifest: Manifest, fingerprint: Fingerprint) -> Preprocessing:
    """Return the `preprocessing` section of a plan.

    All folds share one preprocessing. A rule for the target spacing therefore uses every labelled case outside the
    listed test set, as in nnU-Net. Intensity constants are computed per fold (`splits.py`).

    Args:
        manifest: The dataset. Its `preprocessing` may have a rule for `spacing_mm` (see `target_spacing`) and the
            `normalisation` `by_modality`, which stands for `window` if all modalities are CT, otherwise `zscore`.
        fingerprint: The measured properties of its images.

    Raises:
        DataError: The target spacing follows a rule, but no training case has a label.
    """
    rules = manifest.preprocessing
    spacing, normalisation = rules.spacing_mm, rules.normalisation
    if isinstance(spacing, SpacingRule):
        cases = training_cases(manifest)
        if not cases:
            raise DataError("The target spacing is computed from the labelled training cases, and there are none.")
        spacing = target_spacing(spacing, [fingerprint.cases[case].spacing_mm for case in cases])
    if normalisation == "by_modality":
        only_ct = all(modality.upper() == "CT" for modality in manifest.modalities)
        normalisation = "window" if only_ct else "zscore"
    return Preprocessing(rules.crop, spacing, normalisation, rules.size)


def check_belongs(fingerprint: Fingerprint, manifest: Manifest, where: object) -> None:
    """Check that a fingerprint has the manifest's cases, modalities and dimensions.

    Args:
        fingerprint: The fingerprint.
        manifest: The dataset.
        where: The fingerprint's file, for the message.

    Raises:
        DataError: The fingerprint does not match; the message lists up to 20 problems.
    """
    problems = []
    for case in manifest.cases:
        found = fingerprint.cases.get(case.case)
        if found is None:
            problems.append(f"{case.case}: there is no such case")
        elif tuple(one.modality for one in found.intensities) != manifest.modalities:
            problems.append(f"{case.case}: intensities of {[one.modality for one in found.intensities]}, expected "
                            f"{list(manifest.modalities)}")
        elif {len(found.shape), len(found.cropped_shape), len(found.spacing_mm)} != {manifest.dimensions}:
            problems.append(f"{case.case}: shape, cropped_shape and spacing_mm do not all have "
                            f"{manifest.dimensions} axes")
    summary = fingerprint.summary
    if {len(summary.shape), len(summary.cropped_shape), len(summary.spacing_mm)} != {manifest.dimensions}:
        problems.append(f"summary: its entries do not all have {manifest.dimensions} axes")
    if problems:
        raise DataError("This fingerprint does not match the manifest.", problems=problems[:20], where=str(where),
                        todo="Create both again with pocket-check.")


def training_cases(manifest: Manifest) -> list[str]:
    """Return the names of labelled cases outside the listed test set."""
    test = manifest.split.test if manifest.split else ()
    return [case.case for case in manifest.cases if case.label and case.case not in test]


def target_spacing(rule: SpacingRule, spacings: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Compute the target spacing from a rule.

    Args:
        rule: Percentile of the spacings per axis. If set, `through_plane_percentile` applies to the axis with the
            largest median spacing (the last such axis).
        spacings: Spacing of each case, in mm per RAS+ axis.

    Returns:
        Spacing in mm per RAS+ axis, rounded to 10⁻⁶ mm.
    """
    values = np.asarray(spacings, dtype=np.float64)
    target = np.percentile(values, rule.percentile, axis=0)
    if rule.through_plane_percentile is not None:
        median = np.median(values, axis=0)
        axis = len(median) - 1 - int(np.argmax(median[::-1]))
        target[axis] = np.percentile(values[:, axis], rule.through_plane_percentile)
    return tuple(round(float(value), 6) for value in target)


def median_shape(manifest: Manifest, fingerprint: Fingerprint, preprocessing: Preprocessing
                 ) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the median shape and the spacing of the cases after cropping and resampling.

    Args:
        manifest: The dataset.
        fingerprint: Shapes and spacings of its cases.
        preprocessing: The result of `resolve`.

    Returns:
        Shape in voxels and spacing in mm, per RAS+ axis.
    """
    key = "cropped_shape" if preprocessing.crop == "nonzero" else "shape"
    target = preprocessing.spacing_mm
    if target is None:
        return getattr(fingerprint.summary, key), fingerprint.summary.spacing_mm
    cases = [fingerprint.cases[case] for case in training_cases(manifest) or fingerprint.cases]
    shapes = np.array([getattr(case, key) for case in cases]) * np.array([case.spacing_mm for case in cases]) / target
    return tuple(np.median(shapes, axis=0).tolist()), target
