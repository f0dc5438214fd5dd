"""A preset's rules for preprocessing, resolved to numbers by what the check measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts.fingerprint import Fingerprint
from ..contracts.manifest import Manifest, SpacingRule
from ..contracts.plan import Preprocessing
from ..errors import DataError


def resolve(manifest: Manifest, fingerprint: Fingerprint) -> Preprocessing:
    """The `preprocessing` section of a plan.

    Preprocessing happens once for all folds, so a rule for the target spacing sees every labelled case that is
    not in a listed test set (as nnU-Net's does); intensity constants are each fold's own (`splits.py`).

    Args:
        manifest: Its `preprocessing` may have a rule for `spacing_mm` (see `target_spacing`), and
            `normalisation` `by_modality`: `window` when every modality is CT, else `zscore`.
        fingerprint: What its images are like.

    Raises:
        DataError: A rule, and no case to go by; or the fingerprint has not all of the manifest's cases.
    """
    rules = manifest.preprocessing
    spacing, normalisation = rules.spacing_mm, rules.normalisation
    if isinstance(spacing, SpacingRule):
        cases = training_cases(manifest)
        if not cases:
            raise DataError("The target spacing goes by the training cases, and there are none with a label.")
        spacing = target_spacing(spacing, [fingerprint.cases[case].spacing_mm for case in cases])
    if normalisation == "by_modality":
        only_ct = all(modality.upper() == "CT" for modality in manifest.modalities)
        normalisation = "window" if only_ct else "zscore"
    return Preprocessing(rules.crop, spacing, normalisation, rules.size)


def check_belongs(fingerprint: Fingerprint, manifest: Manifest, where: object) -> None:
    """Refuse a fingerprint of other cases, modalities or dimensions than the manifest's.

    Raises:
        DataError: Names what is missing.
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
        raise DataError("This fingerprint is not of the manifest's cases.", problems=problems[:20], where=str(where),
                        todo="Make both anew with pocket-check.")


def training_cases(manifest: Manifest) -> list[str]:
    """The labelled cases that are in no listed test set."""
    test = manifest.split.test if manifest.split else ()
    return [case.case for case in manifest.cases if case.label and case.case not in test]


def target_spacing(rule: SpacingRule, spacings: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """A target spacing by a rule.

    Args:
        rule: Where it has a `through_plane_percentile`, this one is taken along the axis whose median spacing is the
            largest, or the last of several.
        spacings: mm per RAS+ axis, a case each.

    Returns:
        mm per RAS+ axis, to the micrometre's thousandth.
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
    """The median case after cropping and resampling.

    Args:
        manifest: The dataset.
        fingerprint: Shapes and spacings of its cases.
        preprocessing: As `resolve` gave it.

    Returns:
        Voxels and mm, per RAS+ axis.
    """
    key = "cropped_shape" if preprocessing.crop == "nonzero" else "shape"
    target = preprocessing.spacing_mm
    if target is None:
        return getattr(fingerprint.summary, key), fingerprint.summary.spacing_mm
    cases = [fingerprint.cases[case] for case in training_cases(manifest) or fingerprint.cases]
    shapes = np.array([getattr(case, key) for case in cases]) * np.array([case.spacing_mm for case in cases]) / target
    return tuple(np.median(shapes, axis=0).tolist()), target
