"""Compute the ranges of a fold's training images from the dataset's fingerprint."""

from __future__ import annotations

from collections.abc import Sequence

from ..contracts.fingerprint import Fingerprint
from ..contracts.ranges import ModalityRanges, TrainingRanges
from ..preprocessing.ranges import IN_UNITS, STANDARDISED, Measured, spread


def training_ranges(fingerprint: Fingerprint, train: Sequence[str], modalities: Sequence[str]) -> TrainingRanges:
    """Return the ranges of spacing, field of view and intensities over the training cases of a fold.

    Validation and test cases are not used.

    Args:
        fingerprint: Properties of the cases.
        train: Training cases of the fold.
        modalities: Modalities in channel order.
    """
    cases = [fingerprint.cases[name] for name in train]
    axes = range(len(cases[0].spacing_mm))
    return TrainingRanges(
        len(cases), tuple(spread(case.spacing_mm[axis] for case in cases) for axis in axes),
        tuple(spread(case.shape[axis] * case.spacing_mm[axis] for case in cases) for axis in axes),
        tuple(_of_modality(modality, [_intensity(fingerprint, name, index) for name in train])
              for index, modality in enumerate(modalities)))


def _intensity(fingerprint: Fingerprint, case: str, index: int) -> Measured:
    found = fingerprint.cases[case].intensities[index]
    return Measured(found.mean, found.std, found.p0_5, found.median, found.p99_5)


def _of_modality(modality: str, found: Sequence[Measured]) -> ModalityRanges:
    standardised = [one.standardised() for one in found]
    return ModalityRanges(modality, **{name: spread(getattr(one, name) for one in found) for name in IN_UNITS},
                          **{name: spread(one[name] for one in standardised) for name in STANDARDISED})
