"""Compute the content of `splits.json`: the folds, their intensity constants and ranges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts.fingerprint import Fingerprint
from ..contracts.plan import Plan
from ..contracts.splits import Fold, Intensity, Splits
from ..errors import DataError
from .folds import Parts
from .ranges import training_ranges


def splits(plan: Plan, rule: str, parts: Sequence[Parts], fingerprint: Fingerprint) -> Splits:
    """Return the content of `splits.json`.

    Args:
        plan: The plan, for the dataset, seed and modalities.
        rule: The split rule in words.
        parts: The cases of each fold or training set.
        fingerprint: Properties of the cases.
    """
    return Splits(plan.dataset, rule, plan.seed, tuple(
        Fold(place if one.number is None else one.number, tuple(one.train), tuple(one.validation), tuple(one.test),
             intensity_constants(fingerprint, one.train, plan.modalities), one.train_size,
             training_ranges(fingerprint, one.train, plan.modalities))
        for place, one in enumerate(parts)))


def intensity_constants(fingerprint: Fingerprint, train: Sequence[str], modalities: Sequence[str]
                        ) -> tuple[Intensity, ...]:
    """Compute a fold's intensity constants per modality from the labelled voxels of its training cases.

    Each case contributes a sample of at most 500 intensities, so that large structures do not dominate small ones. The
    mean, standard deviation and percentiles (0.5 and 99.5) use intensities before clipping, in the image's units (HU
    for CT).

    Args:
        fingerprint: Intensity samples of the cases.
        train: Training cases of the fold.
        modalities: Modalities in channel order.

    Raises:
        DataError: No training case has a labelled voxel.

    Source: the paper, Section II-B1 (LiTS), after nnU-Net.
    """
    out = []
    for index, modality in enumerate(modalities):
        samples = [fingerprint.cases[case].intensities[index].sample for case in train]
        values = np.concatenate([np.asarray(s, dtype=np.float64) for s in samples])
        if values.size == 0:
            raise DataError(f"No training case has a labelled voxel in {modality}.", problems=list(train[:20]))
        low, high = np.percentile(values, (0.5, 99.5))
        out.append(Intensity(modality, float(values.mean()), float(values.std()), float(low), float(high)))
    return tuple(out)
