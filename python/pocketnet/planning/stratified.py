"""Splits of a classification: stratified by class, a patient's images never on two sides."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from ..contracts.manifest import Case
from ..errors import DataError, UsageError
from .parts import Parts

if TYPE_CHECKING:
    import numpy as np

RULE = ("sorted case names, {what}(shuffle, seed) for test; of the rest, about {share:.0%} for validation, likewise "
        "by class{patients}")
LISTED = "the dataset's own test list; of the other images, about {share:.0%} for validation, by class{patients}"
PARTS = ("train", "validation", "test")


def too_few(classes: Iterable[tuple[str, str]], folds: int) -> list[str]:
    """Why so many folds cannot be made: a line for each class that has too few images.

    In each fold a class needs one image each for training, validation and test, from different patients.

    Args:
        classes: An image's class and what it must stay together with (its patient, or itself), each.
        folds: 1 for a listed test set, whose images are not among these.
    """
    counts = Counter(name for name, _ in set(classes))
    lines = []
    for name, count in sorted(counts.items()):
        left = count - (math.ceil(count / folds) if folds > 1 else 0)
        if count < folds or left < 2:
            lines.append(f"class {name!r} has {count} example{'s' * (count != 1)} (images of different patients): "
                         + (f"{folds} folds need one for the test of each fold, and two others for training and "
                            "validation" if folds > 1 else "training and validation need one each"))
    return lines


def split(cases: Sequence[Case], folds: int, seed: int, share: float,
          test: Sequence[str] | None = None) -> tuple[str, list[Parts]]:
    """Folds of train, validation and test cases.

    Args:
        cases: A manifest's cases with a class.
        folds: How many, without a listed test set.
        seed: Of the shuffling.
        share: Of a fold's training part, for validation.
        test: The dataset's own test set: then there is one fold.

    Returns:
        The rule in words, and the parts of each fold.

    Raises:
        UsageError: Fewer than two folds.
        DataError: A class has too few images, or is missing on one side of a split.

    Source: scikit-learn's `StratifiedKFold` and `StratifiedGroupKFold`.
    """
    cases = sorted(cases, key=lambda case: case.case)
    by_patient = any(case.patient for case in cases)
    words = {"share": share, "what": "StratifiedGroupKFold" if by_patient else "StratifiedKFold",
             "patients": ", a patient's images together" if by_patient else ""}
    if test is None and folds < 2:
        raise UsageError(f"Cross-validation needs at least 2 folds. Received: {folds}")
    listed = set(test or ())
    rest = [case for case in cases if case.case not in listed]
    lines = too_few(((cast(str, case.class_name), group(case)) for case in rest), folds if test is None else 1)
    if lines:
        raise DataError("The cases cannot be split so that each class is trained on, validated and tested.",
                        problems=lines, todo="Bring more images of it, leave the class out, or use fewer --folds.")
    if test is not None:
        train, validation = _hold_out(rest, seed, share, by_patient)
        out = [Parts(train, validation, sorted(listed))]
    else:
        out = []
        for fold, (others, tested) in enumerate(_divide(cases, folds, seed, by_patient)):
            train, validation = _hold_out([cases[i] for i in others], seed + fold, share, by_patient)
            out.append(Parts(train, validation, [cases[i].case for i in tested]))
    _check(out, {case.case: cast(str, case.class_name) for case in cases})
    return (RULE if test is None else LISTED).format(**words), out


def group(case: Case) -> str:
    """What a case must stay together with: its patient's images; by itself where the patient is not known."""
    return f"patient {case.patient}" if case.patient else f"case {case.case}"


def _divide(cases: Sequence[Case], folds: int, seed: int, by_patient: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    rule = (StratifiedGroupKFold if by_patient else StratifiedKFold)(folds, shuffle=True, random_state=seed)
    classes, groups = [case.class_name for case in cases], [group(case) for case in cases]
    return rule.split(classes, classes, groups if by_patient else None)


def _hold_out(cases: Sequence[Case], seed: int, share: float, by_patient: bool) -> tuple[list[str], list[str]]:
    """Training and validation cases: one part of as many equal ones as the share and the rarest class allow."""
    rarest = min(Counter(name for name, _ in {(case.class_name, group(case)) for case in cases}).values())
    train, validation = next(iter(_divide(cases, min(round(1 / share), rarest), seed, by_patient)))
    return [cases[i].case for i in train], [cases[i].case for i in validation]


def _check(folds: Sequence[Parts], classes: dict[str, str]) -> None:
    """Refuse a split in which a part lacks a class, as when few patients have many images."""
    known = set(classes.values())
    lines = [f"fold {number}, {part}: no image of class {name!r}" for number, fold in enumerate(folds) for part in PARTS
             for name in sorted(known - {classes[case] for case in getattr(fold, part)})]
    if lines:
        raise DataError("The cases cannot be split so that each class is trained on, validated and tested.",
                        problems=lines, todo="Use fewer --folds, or bring images of more patients of this class.")
