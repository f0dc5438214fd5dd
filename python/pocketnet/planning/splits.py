"""Folds: which cases are trained on, which choose the best checkpoint, which are reported."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import KFold

from ..contracts.fingerprint import Fingerprint
from ..contracts.labels import CLASSIFICATION
from ..contracts.manifest import Manifest
from ..contracts.plan import Plan
from ..contracts.splits import Fold, Intensity, Splits, fewest_cases
from ..errors import DataError, UsageError
from . import stratified
from .parts import Parts

RULE = "sorted case names, KFold(shuffle, seed) for test; of the rest, {share:.0%} (at least one) for validation"
VALIDATION_SHARE = 0.1
LISTED = "the dataset's own test list; of the other cases, {share:.0%} (at least one) for validation"


def split_cases(manifest: Manifest, folds: int, seed: int) -> tuple[str, list[Parts]]:
    """The folds of a dataset by the rule that suits it, and that rule in words.

    A manifest with a listed test set gives one fold; a classification is stratified by class and keeps the
    images of a patient together; everything else is `make_folds`.

    Raises:
        UsageError: Fewer than two folds.
        DataError: Not enough cases, or of some class.
    """
    test = manifest.split.test if manifest.split else None
    if manifest.task == CLASSIFICATION:
        cases = [case for case in manifest.cases if case.class_name]
        return stratified.split(cases, folds, seed, VALIDATION_SHARE, test)
    names = [case.case for case in manifest.cases if case.label]
    if test is None:
        return RULE.format(share=VALIDATION_SHARE), make_folds(names, folds, seed)
    rest = sorted(set(names) - set(test))
    if len(rest) < 2:
        raise DataError(f"Beside the {len(test)} listed test cases there are {len(rest)} labelled ones: too few for "
                        "training and validation.", todo="Bring at least 2 more labelled cases.")
    train, validation = hold_out(rest, [seed, 0])
    return LISTED.format(share=VALIDATION_SHARE), [Parts(train, validation, sorted(test))]


def hold_out(cases: list[str], seed: list[int]) -> tuple[list[str], list[str]]:
    """Divide sorted cases into training and validation by chance, each sorted."""
    order = np.random.default_rng(seed).permutation(len(cases))
    held = max(1, round(VALIDATION_SHARE * len(cases)))
    return sorted(cases[i] for i in order[held:]), sorted(cases[i] for i in order[:held])


def make_folds(cases: list[str], folds: int, seed: int) -> list[Parts]:
    """Split cases into folds of train, validation and test.

    The test parts follow nnU-Net's rule (sorted names, `KFold(folds, shuffle=True, random_state=seed)`), so
    that with seed 12345 and five folds they are the ones its published results were made with. The
    validation part is drawn from the fold's training part and decides "best" and the learning rate.

    Raises:
        UsageError: Fewer than two folds.
        DataError: Not enough cases.
    """
    if folds < 2:
        raise UsageError(f"Cross-validation needs at least 2 folds. Received: {folds}")
    names = sorted(cases)
    if len(names) < fewest_cases(folds):
        raise DataError(f"{len(names)} labelled cases are too few for {folds} folds of training, validation and test.",
                        todo=f"Use --folds {len(names)} or more cases." if len(names) >= fewest_cases(3)
                        else f"Bring at least {fewest_cases(3)} labelled cases.")
    out = []
    for fold, (rest, test) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(names)):
        train, validation = hold_out([names[i] for i in rest], [seed, fold])
        out.append(Parts(train, validation, [names[i] for i in test]))
    return out


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
