"""The content of `splits.json`: the folds with the intensity constants of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts.fingerprint import Fingerprint
from ..contracts.plan import Plan
from ..contracts.splits import Fold, Intensity, Splits
from ..errors import DataError
from .folds import Parts


def splits(plan: Plan, rule: str, parts: Sequence[Parts], fingerprint: Fingerprint) -> Splits:
    """The content of `splits.json`: the folds with the intensity constants of each.

    Args:
        plan: The plan, whose normalisation says which constants are needed.
        rule: How the cases were split, in words.
        parts: A fold's or training set's cases, each.
        fingerprint: Intensity samples of the cases.
    """
    return Splits(plan.dataset, rule, plan.seed, tuple(
        Fold(number, tuple(one.train), tuple(one.validation), tuple(one.test),
             intensity_constants(fingerprint, one.train, plan.modalities), one.train_size)
        for number, one in enumerate(parts)))


def intensity_constants(fingerprint: Fingerprint, train: Sequence[str], modalities: Sequence[str]
                        ) -> tuple[Intensity, ...]:
    """A fold's intensity constants per modality, over the labelled voxels of its training cases only.

    Each case contributes its sample (at most 500 intensities), so that large structures do not drown small
    ones. All four are of the voxels as they are, before any clipping, in the image's own units (HU for CT).

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
