"""Split cases into training, validation and test sets: folds, or nested training sets with one common test set."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..contracts.groups import leaks, together
from ..contracts.manifest import Case, Manifest
from ..contracts.splits import fewest_cases, too_few
from ..contracts.tasks import TASKS
from ..errors import DataError, UsageError
from ..text import counted
from .k_fold import shuffled_parts

VALIDATION_SHARE = 0.1
RULE = ("{units}, {what}(shuffle, seed) for test; of the rest, {share:.0%} (at least one) for validation{strata}")
LISTED = "the dataset's own test list; of the other {units}, {share:.0%} (at least one) for validation{strata}"
BY_CLASS = ("sorted case names, {what}(shuffle, seed) for test; of the rest, about {share:.0%} for validation, "
            "likewise by class{strata}{together}")
LISTED_BY_CLASS = ("the dataset's own test list; of the other images, about {share:.0%} for validation, by "
                   "class{strata}{together}")
SUBSETS = ("training subsets, each within the next, over the same {test:.0%} of the cases for test{listed} and the "
           "same {validation:.0%} of the rest for validation (at least one each); in order of a seeded permutation, "
           "classes in proportion, groups undivided")
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
        number: Number of the fold; None: its place in the list.
    """

    train: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    train_size: int | None = None
    number: int | None = None


@dataclass(frozen=True)
class Strata:
    """Strata of a split by class.

    Attributes:
        classes: Class of each case; every part keeps the class proportions.
        groups: Group of each case; a group is never split. None if every case is its own group.
        values: Value of each case to stratify by besides; None: the class alone.
    """

    classes: Mapping[str, str]
    groups: Mapping[str, str] | None = None
    values: Mapping[str, str] | None = None

    def distinct(self, names: Iterable[str]) -> set[tuple[str, str]]:
        """Return the distinct (class, group) pairs of the cases."""
        return {(self.classes[name], (self.groups or {}).get(name, name)) for name in names}

    def of(self, name: str) -> str:
        """Return the stratum of a case."""
        return self.classes[name] if self.values is None else f"{self.classes[name]}, {self.values[name]}"


def split_cases(manifest: Manifest, folds: int, seed: int) -> tuple[str, list[Parts]]:
    """Return the split rule in words and the folds of a dataset.

    A listed test set results in one fold. Cases that belong together (`contracts.groups`) stay in one part. If the task
    is stratified, parts keep the class proportions; if the manifest has strata, they keep those of the strata.

    Raises:
        UsageError: Fewer than two folds.
        DataError: Too few cases or groups, in total or of one class, or a group in the listed test set and outside it.
    """
    test = manifest.split.test if manifest.split else None
    cases = labelled(manifest)
    names, groups = [case.case for case in cases], together(cases)
    grouped = any(case.group for case in cases) or len(set(groups.values())) < len(cases)
    values = {case.case: case.stratum or "" for case in cases} if any(case.stratum for case in cases) else None
    strata = " and value" * (values is not None)
    if not TASKS[manifest.task].stratified:
        rule = (RULE if test is None else LISTED).format(
            share=VALIDATION_SHARE, what="StratifiedKFold" if values else "KFold",
            units="sorted groups of cases that belong together" if grouped and test is None else "groups" if grouped
            else "sorted case names" if test is None else "cases", strata=", both by stratum" * (values is not None))
        found = make_folds(names, folds, seed, test, groups=groups, values=values)
    else:
        rule = (BY_CLASS if test is None else LISTED_BY_CLASS).format(
            share=VALIDATION_SHARE, what="StratifiedGroupKFold" if grouped else "StratifiedKFold", strata=strata,
            together=", a group's images together" if grouped else "")
        found = make_folds(names, folds, seed, test, Strata(
            {case.case: case.class_name for case in cases if case.class_name}, groups if grouped else None, values))
    check_groups(found, cases)
    return rule, found


def labelled(manifest: Manifest) -> list[Case]:
    """Return the cases that a split divides: those with a reference of the manifest's task."""
    return [case for case in manifest.cases if getattr(case, TASKS[manifest.task].reference)]


def check_groups(folds: Sequence[Parts], cases: Sequence[Case], where: str | None = None) -> None:
    """Raise DataError if a group has cases in several parts of a fold.

    Args:
        folds: The folds.
        cases: The manifest's cases, with their groups.
        where: File with the folds, for the message.
    """
    lines = _leaks(folds, together(cases, images=False))
    if lines:
        raise DataError("Cases of one group are in different parts of a fold: the network would be tested on "
                        "patients that it was trained on.", where=where, problems=lines,
                        todo="Put all cases of a group in one part. If they are not one group, run pocket-check "
                             "again with another --group, or --group none.")


def shared_images(folds: Sequence[Parts], cases: Sequence[Case]) -> list[str]:
    """Return a line for each fold and image that is in several of its parts.

    Only given folds and listed test sets can have any.
    """
    return _leaks(folds, together(cases))


def _leaks(folds: Sequence[Parts], groups: Mapping[str, str]) -> list[str]:
    return [f"fold {place if fold.number is None else fold.number}, {line}" for place, fold in enumerate(folds)
            for line in leaks(groups, {part: getattr(fold, part) for part in PARTS})]


def make_folds(cases: Sequence[str], folds: int, seed: int, test: Sequence[str] | None = None,
               strata: Strata | None = None, *, groups: Mapping[str, str] | None = None,
               values: Mapping[str, str] | None = None) -> list[Parts]:
    """Split cases into folds of training, validation and test cases.

    The test parts follow nnU-Net's rule: sorted names, `KFold(folds, shuffle=True, random_state=seed)`. With seed 12345
    and five folds, they equal the test parts of nnU-Net's published results. With groups, the rule divides the groups,
    sorted by their first case. The validation part is drawn from the remaining cases of the fold; it selects the best
    checkpoint and controls the learning rate.

    Args:
        cases: Case names.
        folds: Number of folds; ignored with a listed test set.
        seed: Seed of the shuffling.
        test: The dataset's own test set; it results in one fold.
        strata: Strata of a split by class. The validation part then has only about `VALIDATION_SHARE` of the
            remaining cases.
        groups: Group of each case, without `strata`; None: each case is its own group.
        values: Value of each case whose proportions every part keeps, without `strata`.

    Raises:
        UsageError: Fewer than two folds.
        DataError: Too few cases or groups, too few of a class, or a part without any case of a class.

    Source: scikit-learn's `KFold`, `StratifiedKFold` and `StratifiedGroupKFold`.
    """
    if test is None and folds < 2:
        raise UsageError(f"Cross-validation needs at least 2 folds. Received: {folds}")
    names, listed = sorted(cases), sorted(set(test or ()))
    rest = sorted(set(names).difference(listed))
    if strata:
        _check_enough_of_classes(rest, 1 if test is not None else folds, strata)
        units = [[name] for name in rest]
    else:
        units = _units(rest, groups or {})
        _check_enough(units, 1 if test is not None else folds, listed, values)
    if test is not None:
        out = [Parts(*hold_out(units, seed, 0, strata, values), listed)]
    else:
        out = [Parts(*hold_out([units[i] for i in others], seed, fold, strata, values),
                     sorted(name for i in tested for name in units[i]))
               for fold, (others, tested) in enumerate(_divide(units, folds, seed, strata, values))]
    if strata:
        _check_classes(out, strata.classes)
    return out


def hold_out_validation(cases: Sequence[Case], names: Sequence[str], seed: int, fold: int
                        ) -> tuple[list[str], list[str]]:
    """Split cases that are not tested into training and validation cases, as `split_cases` does.

    Args:
        cases: All cases of the dataset.
        names: The cases to split.
        seed: Seed of the shuffling.
        fold: Number of the fold.

    Raises:
        DataError: Fewer than two groups.
    """
    groups, known = together(cases), {case.case: case for case in cases}
    values = {name: ", ".join(filter(None, (known[name].class_name, known[name].stratum))) for name in names}
    units = _units(sorted(names), groups)
    if len(units) < 2:
        raise DataError(f"Fold {fold} has {len(names)} cases for training, of one group: too few for training and "
                        "validation.", todo="Give it cases of at least 2 groups.")
    return hold_out(units, seed, fold, None, values if any(values.values()) else None)


def _units(names: Sequence[str], groups: Mapping[str, str]) -> list[list[str]]:
    """Return the sorted cases of each group; the groups are sorted by their first case."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(groups.get(name, f"case {name}"), []).append(name)
    return list(found.values())


def _divide(units: Sequence[Sequence[str]], count: int, seed: int, strata: Strata | None,
            values: Mapping[str, str] | None) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Return, for each of `count` parts, the indices of the other groups and the indices of the part."""
    if strata is None and values is None:
        return shuffled_parts(len(units), count, seed)
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # slow to import

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        if strata is None:
            kinds = _kinds(units, values or {})
            return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(kinds, kinds))
        names = [name for (name,) in units]
        classes = [strata.of(name) for name in names]
        if strata.groups is None:
            return list(StratifiedKFold(count, shuffle=True, random_state=seed).split(classes, classes))
        return list(StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(
            classes, classes, [strata.groups[name] for name in names]))


def _kinds(units: Sequence[Sequence[str]], values: Mapping[str, str]) -> list[str]:
    """Return the stratum of each group: the values of its cases."""
    return [" + ".join(sorted({values[name] for name in unit})) for unit in units]


def hold_out(units: Sequence[Sequence[str]], seed: int, fold: int, strata: Strata | None,
             values: Mapping[str, str] | None) -> tuple[list[str], list[str]]:
    """Split groups of sorted cases into training and validation, each sorted.

    A split by class makes `1 / VALIDATION_SHARE` equal parts, or fewer if the rarest class is smaller. The first part
    is the validation part.
    """
    if strata is None:
        order = np.random.default_rng([seed, fold]).permutation(len(units))
        if values:
            order = np.asarray(order)[_spread([_kinds(units, values)[i] for i in order])]
        count = max(1, round(VALIDATION_SHARE * len(units)))
        train, validation = np.sort(order[count:]), np.sort(order[:count])
    else:
        rarest = min(Counter(name for name, _ in strata.distinct(name for (name,) in units)).values())
        train, validation = next(iter(_divide(
            units, min(round(1 / VALIDATION_SHARE), rarest), seed + fold, strata, None)))
    return (sorted(name for i in train for name in units[i]), sorted(name for i in validation for name in units[i]))


def _spread(kinds: Sequence[str]) -> list[int]:
    """Return an order of the places in which the first n places have about the overall proportions of the kinds."""
    counts, seen = Counter(kinds), Counter[str]()
    ranks = []
    for kind in kinds:
        ranks.append((seen[kind] + 0.5) / counts[kind])
        seen[kind] += 1
    return sorted(range(len(kinds)), key=ranks.__getitem__)


def _check_enough_of_classes(rest: Sequence[str], folds: int, strata: Strata) -> None:
    """Raise DataError if a class has too few cases outside the listed test set; `folds` is 1 with such a set."""
    lines = too_few(strata.distinct(rest), folds)
    if lines:
        raise DataError("The cases cannot be split so that each class is trained on, validated and tested.",
                        problems=lines, todo="Add images of this class, leave it out, or use fewer --folds.")


def _check_enough(units: Sequence[Sequence[str]], folds: int, listed: Sequence[str], values: Mapping[str, str] | None
                  ) -> None:
    """Raise DataError if there are too few cases or groups.

    Args:
        units: Groups of cases outside the listed test set.
        folds: Number of folds; 1 with a listed test set.
        listed: Cases of the listed test set.
        values: Value of each case to stratify by, if any.
    """
    count, cases = len(units), sum(map(len, units))
    unit = ("labelled case", "labelled cases") if cases == count else ("group of cases", "groups of cases")
    if folds == 1 and count < 2:
        raise DataError(f"Besides {counted(len(listed), 'listed test case')}, the dataset has {counted(count, *unit)}: "
                        "too few for training and validation.", todo=f"Provide at least 2 more {unit[1]}.")
    if folds > 1 and count < fewest_cases(folds):
        what = counted(count, *unit) if cases == count else f"{counted(count, 'group')} of {cases} labelled cases"
        raise DataError(f"{what} {'is' if count == 1 else 'are'} too few for {folds} folds of training, validation and "
                        "test.",
                        todo=f"Use --folds {count} or more {'cases' if cases == count else 'groups'}."
                        if count >= fewest_cases(3) else f"Provide at least {fewest_cases(3)} {unit[1]}.")
    largest = max(Counter(_kinds(units, values)).values()) if values and folds > 1 else folds
    if largest < folds:
        raise DataError(f"No value to stratify by has {folds} {unit[1]}, as {folds} folds need; the most frequent "
                        f"one has {largest}.", todo="Run pocket-check with another --stratify, or use fewer --folds.")


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
    cases = labelled(manifest)
    test = " (the dataset's own list instead)" if listed else ""
    found = make_subsets(cases, sizes, seed, listed)
    check_groups(found, cases)
    return SUBSETS.format(test=SUBSET_TEST_SHARE, validation=VALIDATION_SHARE, listed=test), found


def make_subsets(cases: Sequence[Case], sizes: list[int] | None, seed: int, test: Sequence[str] | None = None
                 ) -> list[Parts]:
    """Split cases into nested training sets with a common validation and test set (paper, Section III-E).

    Later steps treat each training set as a fold. Subsets keep the proportions of classes and strata. Cases that belong
    together stay in one part, and enter the training sets together: a set is larger than asked for by the rest of its
    last group.

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
    groups = together(cases)
    ordered = _in_proportion(cases, groups, seed)
    held = set(test or _take(ordered, groups, SUBSET_TEST_SHARE)) & set(ordered)
    rest = [name for name in ordered if name not in held]
    validation = set(_take(rest, groups, VALIDATION_SHARE))
    train = [name for name in rest if name not in validation]
    if not held or not validation or not train:
        raise DataError(f"{len(cases)} labelled cases are too few for training, validation and test sets.",
                        todo="Provide at least 3 labelled cases, of 3 patients.")
    sizes = sorted(set(sizes)) if sizes else _halved(len(train))
    beyond = [size for size in sizes if not 1 <= size <= len(train)]
    if beyond:
        raise UsageError(f"There are {len(train)} training cases: a training set of "
                         f"{', '.join(map(str, beyond))} cannot be made.",
                         todo=f"Give --training-sizes between 1 and {len(train)}.")
    whole = sorted({len(_first(train, groups, size)) for size in sizes})
    return [Parts(sorted(train[:size]), sorted(validation), sorted(held), size) for size in whole]


def _halved(most: int) -> list[int]:
    """Return `most`, half of it, a quarter of it and so on, smallest first."""
    return sorted({most // 2**power for power in range(SIZES)} - {0})


def _in_proportion(cases: Sequence[Case], groups: Mapping[str, str], seed: int) -> list[str]:
    """Return the cases, group by group, in a seeded random order.

    The first n cases have about the overall proportions of classes and strata.
    """
    named = sorted(cases, key=lambda case: case.case)
    shuffled = [named[index] for index in np.random.default_rng([seed, 0]).permutation(len(named))]
    ordered = [shuffled[place].case for place in _spread([f"{case.class_name}, {case.stratum}" for case in shuffled])]
    members: dict[str, list[str]] = {}
    for name in ordered:
        members.setdefault(groups[name], []).append(name)
    return [name for names in members.values() for name in names]


def _first(ordered: Sequence[str], groups: Mapping[str, str], count: int) -> list[str]:
    """Return the first `count` cases, with the rest of the last one's group."""
    while count < len(ordered) and groups[ordered[count]] == groups[ordered[count - 1]]:
        count += 1
    return list(ordered[:count])


def _take(ordered: Sequence[str], groups: Mapping[str, str], share: float) -> list[str]:
    """Return the first `share` of the cases, at least one, in whole groups."""
    return _first(ordered, groups, max(1, round(share * len(ordered))))
