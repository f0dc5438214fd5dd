"""Read given folds: nnU-Net's `splits_final.json`, or the `splits.json` of another run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..contracts.groups import leaks
from ..contracts.manifest import Manifest
from ..contracts.splits import Splits
from ..errors import DataError, UsageError
from ..files import content
from ..text import parse_json
from .folds import PARTS, VALIDATION_SHARE, Parts, check_groups, hold_out_validation, labelled

RULE = "as given in {name}"
NNUNET = ("as given in {name}: nnU-Net's `val` for test; of its `train`, {share:.0%} of the groups (at least one) for "
          "validation")


def given_splits(path: Path, manifest: Manifest, seed: int) -> tuple[str, list[Parts]]:
    """Return the split rule in words and the folds of a file.

    nnU-Net reports its results on `val`, so `val` is the test part here. The validation part, which selects the best
    checkpoint, is drawn from `train`, by group. A `splits.json` has all three parts.

    Args:
        path: A list of objects with `train` and `val`, or a `splits.json`.
        manifest: The dataset.
        seed: Seed of the validation part.

    Raises:
        UsageError: The file cannot be read, or has neither form.
        DataError: A fold names an unknown case, has a part without cases, or divides a group.
    """
    try:
        value = parse_json(content(path))
    except FileNotFoundError:
        raise UsageError("There is no such file of splits.", where=str(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"These splits cannot be read as JSON: {reason}", where=str(path)) from None
    cases = labelled(manifest)
    known = {case.case for case in cases}
    if isinstance(value, list):
        folds = _of_nnunet(value, path)
        _check([(number, fold) for number, fold in enumerate(folds)], known, path)
        check_groups([Parts(fold["train"], (), fold["val"]) for fold in folds], cases, str(path))
        return NNUNET.format(name=path.name, share=VALIDATION_SHARE), [
            Parts(*hold_out_validation(cases, fold["train"], seed, number), sorted(fold["val"]))
            for number, fold in enumerate(folds)]
    splits = Splits.read(path)
    _check([(fold.fold, {part: getattr(fold, part) for part in PARTS}) for fold in splits.folds], known, path)
    found = [Parts(fold.train, fold.validation, fold.test, fold.train_size, fold.fold) for fold in splits.folds]
    check_groups(found, cases, str(path))
    return RULE.format(name=path.name), found


def _of_nnunet(value: list[Any], path: Path) -> list[dict[str, list[str]]]:
    """Return the folds of a `splits_final.json`, or raise UsageError."""
    for number, fold in enumerate(value):
        if not isinstance(fold, dict) or not all(
                isinstance(fold.get(part), list) and all(isinstance(name, str) for name in fold[part])
                for part in ("train", "val")):
            raise UsageError(f"Fold {number} is not an object with `train` and `val`, lists of case names, as in "
                             "nnU-Net's splits_final.json.", where=str(path))
    if not value:
        raise UsageError("This file has no fold.", where=str(path))
    return value


def _check(folds: Sequence[tuple[int, Mapping[str, Sequence[str]]]], known: set[str], path: Path) -> None:
    """Raise DataError with all faults of the folds that concern individual cases."""
    problems = [f"fold {number}, {line}" for number, parts in folds for line in _faults(parts, known)]
    if problems:
        raise DataError("These splits do not fit the dataset.", where=str(path), problems=problems,
                        todo="Name each labelled case of the manifest at most once in a fold, without a suffix such as "
                             ".nii.gz.")


def _faults(parts: Mapping[str, Sequence[str]], known: set[str]) -> Iterator[str]:
    for part, names in parts.items():
        if not names:
            yield f"{part}: no case"
        yield from (f"{part}: there is no labelled case {name!r}" for name in dict.fromkeys(names) if name not in known)
        yield from (f"{part}: {name!r} is listed {count} times" for name, count in Counter(names).items() if count > 1)
    own = {name: name for names in parts.values() for name in names}
    yield from (f"the same case twice: {line.partition(': ')[2]}" for line in leaks(own, {
        part: list(dict.fromkeys(names)) for part, names in parts.items()}))
