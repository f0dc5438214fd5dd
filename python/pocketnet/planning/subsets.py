"""Nested training subsets over one validation and one test set (paper, Section III-E: model saturation)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts.manifest import Case, Manifest
from ..errors import DataError, UsageError
from .parts import Parts

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
SIZES = 5
RULE = ("training subsets, each within the next, over the same {test:.0%} of the cases for test{listed} and the same "
        "{validation:.0%} of the rest for validation (at least one each); in order of a seeded permutation, "
        "classes in proportion")


def split_cases(manifest: Manifest, sizes: list[int] | None, seed: int) -> tuple[str, list[Parts]]:
    """The subsets of a dataset, with its own test list if it has one, and the rule in words; see `make_subsets`."""
    listed = manifest.split.test if manifest.split else None
    cases = [case for case in manifest.cases if case.labelled]
    test = " (the dataset's own list instead)" if listed else ""
    return (RULE.format(test=TEST_SHARE, validation=VALIDATION_SHARE, listed=test),
            make_subsets(cases, sizes, seed, listed))


def make_subsets(cases: Sequence[Case], sizes: list[int] | None, seed: int, test: Sequence[str] | None = None
                 ) -> list[Parts]:
    """Split cases into entries that later steps treat as folds: same validation and test, nested training sets.

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
    ordered = _order(cases, seed)
    if test:
        held = [case for case in ordered if case.case in set(test)]
        rest = [case for case in ordered if case.case not in set(test)]
    else:
        held = _take(ordered, TEST_SHARE)
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


def _order(cases: Sequence[Case], seed: int) -> list[Case]:
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
    patients = {_patient(case) for case in ordered[:count]}
    return [case for case in ordered if _patient(case) in patients]


def _without(ordered: list[Case], taken: list[Case]) -> list[Case]:
    """Those of no patient in `taken`."""
    patients = {_patient(case) for case in taken}
    return [case for case in ordered if _patient(case) not in patients]


def _patient(case: Case) -> tuple[str, str]:
    return ("patient", case.patient) if case.patient else ("case", case.case)
