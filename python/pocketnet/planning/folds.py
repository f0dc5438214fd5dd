"""Split cases into training, validation and test sets: folds, or nested training sets with one common test set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..contracts.manifest import Case, Manifest
from ..contracts.splits import fewest_cases, too_few
from ..contracts.tasks import TASKS
from ..errors import DataError, UsageError

VALIDATION_SHARE = 0.1
RULE = "sorted case names, KFold(shuffle, seed) for test; of the rest, {share:.0%} (at least one) for validation"
LISTED = "the dataset's own test list; of the other cases, {share:.0%} (at least one) for validation"
BY_CLASS = ("sorted case names, {what}(shuffle, seed) for test; of the rest, about {share:.0%} for validation, "
            "likewise by class{patients}")
LISTED_BY_CLASS = ("the dataset's own test list; of the other images, about {share:.0%} for validation, by "
                   "class{patients}")
SUBSETS = ("training subsets, each within the next, over the same {test:.0%} of the cases for test{listed} and the "
           "same {validation:.0%} of the rest for validation (at least one each); in order of a seeded permutation, "
           "classes in proportion")
SUBSET_TEST_SHARE = 0.2
SIZES = 5
PARTS = ("train", "validation", "test")


class Parts(NamedTuple):
    """Case names of a fold or of a nested training set.

    Attributes:
        train: Cases that the network learns from.
        validation: Cases that select the best checkpoint.
        test: Cases that the results are reported on.
        train_size: Number of training cases; None for a fold.
    """

    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    train_size: int | None = None


@dataclass(frozen=True)
class Strata:
    """Strata of a stratified split.

    Attributes:
        classes: Class of each case; every part keeps the class proportions.
        groups: Group of each case; a group is never split. None if every case is its own group.
    """

    classes: Mapping[str, str]
    groups: Mapping[str, str] | None = None

    def distinct(self, names: Iterable[str]) -> set[tuple[str, str]]:
        """Return the distinct (class, group) pairs of the cases."""
        return {(self.classes[name], (self.groups or {}).get(name, name)) for name in names}


def split_cases(manifest: Manifest, folds: int, seed: int) -> tuple[str, list[Parts]]:
    """Return the split rule in words and the folds of a dataset.

    A listed test set results in one fold. If the task is stratified, parts keep the class proportions, and all images
    of a patient stay in one part.

    Raises:
        UsageError: Fewer than two folds.
        DataError: Too few cases, in total or of one class.
    """
    test = manifest.split.test if manifest.split else None
    rules = TASKS[manifest.task]
    cases = [case for case in manifest.cases if getattr(case, rules.reference)]
    names = [case.case for case in cases]
    if not rules.stratified:
        return (RULE if test is None else LISTED).format(share=VALIDATION_SHARE), make_folds(names, folds, seed, test)
    by_patient = any(case.patient for case in cases)
    strata = Strata({case.case: case.class_name for case in cases if case.class_name},
                    {case.case: group_of(case) for case in cases} if by_patient else None)
    rule = (BY_CLASS if test is None else LISTED_BY_CLASS).format(
        share=VALIDATION_SHARE, what="StratifiedGroupKFold" if by_patient else "StratifiedKFold",
        patients=", a patient's images together" if by_patient else "")
    return rule, make_folds(names, folds, seed, test, strata)


def make_folds(cases: Sequence[str], folds: int, seed: int, test: Sequence[str] | None = None,
               strata: Strata | None = None) -> list[Parts]:
    """Split cases into folds of training, validation and test cases.

    The test parts follow nnU-Net's rule: sorted names, `KFold(folds, shuffle=True, random_state=seed)`. With seed 12345
    and five folds, they equal the test parts of nnU-Net's published results. The validation part is drawn from the
    remaining cases of the fold; it selects the best checkpoint and controls the learning rate.

    Args:
        cases: Case names.
        folds: Number of folds; ignored with a listed test set.
        seed: Seed of the shuffling.
        test: The dataset's own test set; it results in one fold.
        strata: Strata of a stratified split. The validation part then has only about `VALIDATION_SHARE` of the
            remaining cases.

    Raises:
        UsageError: Fewer than two folds.
        DataError: Too few cases, too few cases of a class, or a part without any case of a class.

    Source: scikit-learn's `KFold`, `StratifiedKFold` and `StratifiedGroupKFold`.
    """
    if test is None and folds < 2:
        raise UsageError(f"Cross-validation needs at least 2 folds. Received: {folds}")
    names, listed = sorted(cases), sorted(set(test or ()))
    rest = [name for name in names if name not in set(listed)]
    _check_enough(rest, 1 if test is not None else folds, listed, strata)
    if test is not None:
        out = [Parts(*_hold_out(rest, seed, 0, strata), listed)]
    else:
        out = [Parts(*_hold_out([names[i] for i in others], seed, fold, strata), [names[i] for i in tested])
               for fold, (others, tested) in enumerate(_divide(names, folds, seed, strata))]
    if strata:
        _check_classes(out, strata.classes)
    return out


def group_of(case: Case) -> str:
    """Return the group of a case: its patient, or the case itself if the patient is unknown."""
    return f"patient {case.patient}" if case.patient else f"case {case.case}"


def _divide(names: Sequence[str], count: int, seed: int, strata: Strata | None
            ) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Return, for each of `count` parts, the indices of the other names and the indices of the part."""
    if strata is None:
        return _shuffled(len(names), count, seed)
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # slow to import

    classes = [strata.classes[name] for name in names]
    if strata.groups is None:
        return StratifiedKFold(count, shuffle=True, random_state=seed).split(classes, classes)
    return StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(
        classes, classes, [strata.groups[name] for name in names])


def _shuffled(cases: int, count: int, seed: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Yield what scikit-learn's `KFold(count, shuffle=True, random_state=seed)` does, without its slow import."""
    order = np.random.RandomState(seed).permutation(cases)
    for part in np.array_split(order, count):
        tested = np.isin(np.arange(cases), part)
        yield np.flatnonzero(~tested), np.flatnonzero(tested)


def _hold_out(names: Sequence[str], seed: int, fold: int, strata: Strata | None) -> tuple[list[str], list[str]]:
    """Split sorted cases into training and validation, each sorted.

    A stratified split makes `1 / VALIDATION_SHARE` equal parts, or fewer if the rarest class is smaller. The first part
    is the validation part.
    """
    if strata is None:
        order = np.random.default_rng([seed, fold]).permutation(len(names))
        count = max(1, round(VALIDATION_SHARE * len(names)))
        train, validation = np.sort(order[count:]), np.sort(order[:count])
    else:
        rarest = min(Counter(name for name, _ in strata.distinct(names)).values())
        train, validation = next(iter(_divide(names, min(round(1 / VALIDATION_SHARE), rarest), seed + fold, strata)))
    return [names[i] for i in train], [names[i] for i in validation]


def _check_enough(rest: Sequence[str], folds: int, listed: Sequence[str], strata: Strata | None) -> None:
    """Raise DataError if there are too few cases.

    Args:
        rest: Cases outside the listed test set.
        folds: Number of folds; 1 with a listed test set.
        listed: Cases of the listed test set.
        strata: Strata of a stratified split.
    """
    if strata:
        lines = too_few(strata.distinct(rest), folds)
        if lines:
            raise DataError("The cases cannot be split so that each class is trained on, validated and tested.",
                            problems=lines, todo="Add images of this class, leave it out, or use fewer --folds.")
    elif folds == 1 and len(rest) < 2:
        raise DataError(f"Beside the {len(listed)} listed test cases there are {len(rest)} labelled ones: too few for "
                        "training and validation.", todo="Provide at least 2 more labelled cases.")
    elif folds > 1 and len(rest) < fewest_cases(folds):
        raise DataError(f"{len(rest)} labelled cases are too few for {folds} folds of training, validation and test.",
                        todo=f"Use --folds {len(rest)} or more cases." if len(rest) >= fewest_cases(3)
                        else f"Provide at least {fewest_cases(3)} labelled cases.")


def _check_classes(folds: Sequence[Parts], classes: Mapping[str, str]) -> None:
    """Raise DataError if a part lacks a class, for example because few patients have many images."""
    known = set(classes.values())
    lines = [f"fold {number}, {part}: no image of class {name!r}" for number, fold in enumerate(folds) for part in PARTS
             for name in sorted(known - {classes[case] for case in getattr(fold, part)})]
    if lines:
        raise DataError("The cases cannot be split so that each class is trained on, validated and tested.",
                        problems=lines, todo="Use fewer --folds, or add images of more patients of this class.")


def split_into_subsets(manifest: Manifest, sizes: list[int] | None, seed: int) -> tuple[str, list[Parts]]:
    """Return the split rule in words and the nested training sets; the dataset's own test list is used if present."""
    listed = manifest.split.test if manifest.split else None
    cases = [case for case in manifest.cases if case.labelled]
    test = " (the dataset's own list instead)" if listed else ""
    return (SUBSETS.format(test=SUBSET_TEST_SHARE, validation=VALIDATION_SHARE, listed=test),
            make_subsets(cases, sizes, seed, listed))


def make_subsets(cases: Sequence[Case], sizes: list[int] | None, seed: int, test: Sequence[str] | None = None
                 ) -> list[Parts]:
    """Split cases into nested training sets with a common validation and test set (paper, Section III-E).

    Later steps treat each training set as a fold. Subsets keep the class proportions. All cases of a patient stay in
    one part (training, validation or test).

    Args:
        cases: The manifest's labelled cases.
        sizes: Number of training cases of each set. None: all training cases, half of them, a quarter, and so on, at
            most `SIZES` sets.
        seed: Seed of the permutation.
        test: The dataset's own test cases; None: 20 % of all cases.

    Returns:
        The parts of each size, smallest first.

    Raises:
        DataError: Too few cases.
        UsageError: A size is below 1 or above the number of training cases.
    """
    ordered = _in_proportion(cases, seed)
    if test:
        held = [case for case in ordered if case.case in set(test)]
        rest = [case for case in ordered if case.case not in set(test)]
    else:
        held = _take(ordered, SUBSET_TEST_SHARE)
        rest = _without(ordered, held)
    validation = _take(rest, VALIDATION_SHARE)
    train = [case.case for case in _without(rest, validation)]
    if not held or not validation or not train:
        raise DataError(f"{len(cases)} labelled cases are too few for training, validation and test sets.",
                        todo="Provide at least 3 labelled cases, of 3 patients.")
    sizes = sorted(set(sizes)) if sizes else _halved(len(train))
    beyond = [size for size in sizes if not 1 <= size <= len(train)]
    if beyond:
        raise UsageError(f"There are {len(train)} training cases: a training set of "
                         f"{', '.join(map(str, beyond))} cannot be made.",
                         todo=f"Give --training-sizes between 1 and {len(train)}.")
    return [Parts(sorted(train[:size]), sorted(case.case for case in validation), sorted(case.case for case in held),
                  size) for size in sizes]


def _halved(most: int) -> list[int]:
    """Return `most`, half of it, a quarter of it and so on, smallest first."""
    return sorted({most // 2**power for power in range(SIZES)} - {0})


def _in_proportion(cases: Sequence[Case], seed: int) -> list[Case]:
    """Return the cases in a seeded random order in which the first n cases have about the overall class proportions."""
    named = sorted(cases, key=lambda case: case.case)
    shuffled = [named[index] for index in np.random.default_rng([seed, 0]).permutation(len(named))]
    places: dict[str, float] = {}
    for name in {case.class_name or "" for case in shuffled}:
        members = [case.case for case in shuffled if (case.class_name or "") == name]
        places |= {case: (rank + 0.5) / len(members) for rank, case in enumerate(members)}
    return sorted(shuffled, key=lambda case: places[case.case])


def _take(ordered: list[Case], share: float) -> list[Case]:
    """Return the first `share` of the cases (at least one), with all other cases of the same patients."""
    count = max(1, round(share * len(ordered)))
    patients = {group_of(case) for case in ordered[:count]}
    return [case for case in ordered if group_of(case) in patients]


def _without(ordered: list[Case], taken: list[Case]) -> list[Case]:
    """Return the cases whose patients are not in `taken`."""
    patients = {group_of(case) for case in taken}
    return [case for case in ordered if group_of(case) not in patients]
