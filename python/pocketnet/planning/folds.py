"""How cases are divided into training, validation and test: folds, or nested training sets over one test set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

from ..contracts.labels import CLASSIFICATION
from ..contracts.manifest import Case, Manifest
from ..contracts.splits import fewest_cases, too_few
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
    """Case names of a fold, or of one of nested training sets.

    Attributes:
        train: Those that the network learns from.
        validation: Those that choose the best checkpoint.
        test: Those that are reported.
        train_size: Number of training cases, of nested training sets.
    """

    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    train_size: int | None = None


@dataclass(frozen=True)
class Strata:
    """What stratified folds go by.

    Attributes:
        classes: Class by case, in proportion on every side.
        groups: By case, what it must stay together with; None where each case is by itself.
    """

    classes: Mapping[str, str]
    groups: Mapping[str, str] | None = None

    def distinct(self, names: Iterable[str]) -> set[tuple[str, str]]:
        """The classes of these cases, once for each group."""
        return {(self.classes[name], (self.groups or {}).get(name, name)) for name in names}


def split_cases(manifest: Manifest, folds: int, seed: int) -> tuple[str, list[Parts]]:
    """The folds of a dataset by the rule that suits it, and that rule in words.

    A manifest with a listed test set gives one fold; a classification is stratified by class and keeps the
    images of a patient together.

    Raises:
        UsageError: Fewer than two folds.
        DataError: Not enough cases, or of some class.
    """
    test = manifest.split.test if manifest.split else None
    if manifest.task != CLASSIFICATION:
        names = [case.case for case in manifest.cases if case.label]
        return (RULE if test is None else LISTED).format(share=VALIDATION_SHARE), make_folds(names, folds, seed, test)
    cases = [case for case in manifest.cases if case.class_name]
    by_patient = any(case.patient for case in cases)
    strata = Strata({case.case: case.class_name for case in cases if case.class_name},
                    {case.case: group_of(case) for case in cases} if by_patient else None)
    rule = (BY_CLASS if test is None else LISTED_BY_CLASS).format(
        share=VALIDATION_SHARE, what="StratifiedGroupKFold" if by_patient else "StratifiedKFold",
        patients=", a patient's images together" if by_patient else "")
    return rule, make_folds([case.case for case in cases], folds, seed, test, strata)


def make_folds(cases: Sequence[str], folds: int, seed: int, test: Sequence[str] | None = None,
               strata: Strata | None = None) -> list[Parts]:
    """Split cases into folds of train, validation and test.

    The test parts follow nnU-Net's rule (sorted names, `KFold(folds, shuffle=True, random_state=seed)`), so
    that with seed 12345 and five folds they are the ones its published results were made with. The
    validation part is drawn from the fold's training part and decides "best" and the learning rate.

    Args:
        cases: Their names.
        folds: How many, without a listed test set.
        seed: Of the shuffling.
        test: The dataset's own test set: then there is one fold.
        strata: For stratified folds; the validation part is then about `VALIDATION_SHARE` of the rest.

    Raises:
        UsageError: Fewer than two folds.
        DataError: Not enough cases, or a class has too few or is missing in a part.

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
    """What a case must stay together with: its patient's images; by itself where the patient is not known."""
    return f"patient {case.patient}" if case.patient else f"case {case.case}"


def _divide(names: Sequence[str], count: int, seed: int, strata: Strata | None
            ) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Places of the others and of a part, for each of `count` parts."""
    if strata is None:
        return KFold(count, shuffle=True, random_state=seed).split(names)
    classes = [strata.classes[name] for name in names]
    if strata.groups is None:
        return StratifiedKFold(count, shuffle=True, random_state=seed).split(classes, classes)
    return StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(
        classes, classes, [strata.groups[name] for name in names])


def _hold_out(names: Sequence[str], seed: int, fold: int, strata: Strata | None) -> tuple[list[str], list[str]]:
    """Divide sorted cases into training and validation, each sorted.

    Stratified, the validation part is one of as many equal ones as the share and the rarest class allow.
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
    """Refuse too few cases; `folds` is 1 with a listed test set, whose cases are not in `rest`."""
    if strata:
        lines = too_few(strata.distinct(rest), folds)
        if lines:
            raise DataError("The cases cannot be split so that each class is trained on, validated and tested.",
                            problems=lines, todo="Bring more images of it, leave the class out, or use fewer --folds.")
    elif folds == 1 and len(rest) < 2:
        raise DataError(f"Beside the {len(listed)} listed test cases there are {len(rest)} labelled ones: too few for "
                        "training and validation.", todo="Bring at least 2 more labelled cases.")
    elif folds > 1 and len(rest) < fewest_cases(folds):
        raise DataError(f"{len(rest)} labelled cases are too few for {folds} folds of training, validation and test.",
                        todo=f"Use --folds {len(rest)} or more cases." if len(rest) >= fewest_cases(3)
                        else f"Bring at least {fewest_cases(3)} labelled cases.")


def _check_classes(folds: Sequence[Parts], classes: Mapping[str, str]) -> None:
    """Refuse a split in which a part lacks a class, as when few patients have many images."""
    known = set(classes.values())
    lines = [f"fold {number}, {part}: no image of class {name!r}" for number, fold in enumerate(folds) for part in PARTS
             for name in sorted(known - {classes[case] for case in getattr(fold, part)})]
    if lines:
        raise DataError("The cases cannot be split so that each class is trained on, validated and tested.",
                        problems=lines, todo="Use fewer --folds, or bring images of more patients of this class.")


def split_into_subsets(manifest: Manifest, sizes: list[int] | None, seed: int) -> tuple[str, list[Parts]]:
    """The nested training sets of a dataset, with its own test list if it has one, and the rule in words."""
    listed = manifest.split.test if manifest.split else None
    cases = [case for case in manifest.cases if case.labelled]
    test = " (the dataset's own list instead)" if listed else ""
    return (SUBSETS.format(test=SUBSET_TEST_SHARE, validation=VALIDATION_SHARE, listed=test),
            make_subsets(cases, sizes, seed, listed))


def make_subsets(cases: Sequence[Case], sizes: list[int] | None, seed: int, test: Sequence[str] | None = None
                 ) -> list[Parts]:
    """Split cases into nested training sets over one validation and one test set (paper, Section III-E).

    Later steps treat each as a fold.

    Args:
        cases: The manifest's cases; subsets keep the classes' proportions, cases of one patient stay
            in one part (training, validation or test).
        sizes: Training cases in each, or None for all of them halved again and again, at most `SIZES` sizes.
        seed: Of the permutation.
        test: The dataset's own test cases, if it lists them; else 20 % of all.

    Returns:
        The parts of each size, from small to large.

    Raises:
        DataError: Too few cases.
        UsageError: A size that cannot be had.
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
                        todo="Bring at least 3 labelled cases, of 3 patients.")
    sizes = sorted(set(sizes)) if sizes else _halved(len(train))
    beyond = [size for size in sizes if not 1 <= size <= len(train)]
    if beyond:
        raise UsageError(f"There are {len(train)} training cases: a training set of "
                         f"{', '.join(map(str, beyond))} cannot be made.",
                         todo=f"Give --training-sizes between 1 and {len(train)}.")
    return [Parts(sorted(train[:size]), sorted(case.case for case in validation), sorted(case.case for case in held),
                  size) for size in sizes]


def _halved(most: int) -> list[int]:
    """`most`, a half, a quarter …, from small to large."""
    return sorted({most // 2**power for power in range(SIZES)} - {0})


def _in_proportion(cases: Sequence[Case], seed: int) -> list[Case]:
    """The cases in a seeded order of which every beginning has the classes in about their proportions."""
    named = sorted(cases, key=lambda case: case.case)
    shuffled = [named[index] for index in np.random.default_rng([seed, 0]).permutation(len(named))]
    places: dict[str, float] = {}
    for name in {case.class_name or "" for case in shuffled}:
        members = [case.case for case in shuffled if (case.class_name or "") == name]
        places |= {case: (rank + 0.5) / len(members) for rank, case in enumerate(members)}
    return sorted(shuffled, key=lambda case: places[case.case])


def _take(ordered: list[Case], share: float) -> list[Case]:
    """The first cases that make up `share` (at least one), with all others of their patients."""
    count = max(1, round(share * len(ordered)))
    patients = {group_of(case) for case in ordered[:count]}
    return [case for case in ordered if group_of(case) in patients]


def _without(ordered: list[Case], taken: list[Case]) -> list[Case]:
    """Those of no patient in `taken`."""
    patients = {group_of(case) for case in taken}
    return [case for case in ordered if group_of(case) not in patients]
