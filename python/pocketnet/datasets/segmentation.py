"""Check a dataset of a segmentation: the labels, their number of cases, and each case by `verify`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..contracts.fingerprint import Fingerprint
from ..contracts.labels import Label
from ..contracts.manifest import Manifest
from ..contracts.reading import ReadingRules
from ..contracts.splits import fewest_cases
from ..text import counted
from . import annotated, labels, outside
from .folder import Case, Listing, Problem
from .presets import Preset
from .verify import CheckCase, Checked, number, verify

SAMPLE = 500
"""Maximum intensities of labelled voxels per modality in the fingerprint of a case."""


def choose_classes(folder: Path, listing: Listing, cases: Sequence[Case], preset: Preset, asked: str | None
                   ) -> labels.Classes:
    """Return the classes, in order, each with its values in the label maps.

    Args:
        folder: The dataset's folder.
        listing: The dataset's cases.
        cases: The cases to check.
        preset: The dataset's preset.
        asked: Value of `--labels`; None: the preset's default.

    Raises:
        UsageError: A label is unknown, nothing names the labels, or there are too many.
    """
    if not listing.cases:
        return labels.Classes()
    classes = labels.choose(asked, preset, listing.classes)
    if not classes:
        raise labels.unnamed(folder, next((case.label for case in cases if case.label), None))
    labels.check_number(classes, classes.ignore is not None or any(case.annotated for case in cases))
    return classes


def known_values(listing: Listing, preset: Preset, classes: labels.Classes) -> frozenset[int]:
    """Return all valid values of label files."""
    return labels.known_values(preset, listing.classes, classes)


def checker(folder: Path, rules: ReadingRules) -> CheckCase:
    """Return the function that checks one case, as `tasks.DatasetTask` describes."""
    return lambda case: verify(folder, case, rules)


def problems(listing: Listing, classes: labels.Classes, folds: int | None, groups: Mapping[str, str]) -> list[Problem]:
    """Return problems: fewer groups of labelled cases than folds need, or wrong lists of annotated labels."""
    found = list(annotated.problems([case for case in listing.cases if case.label], list(classes)))
    enough = len(set(groups.values()))
    if folds and listing.test is None and enough < fewest_cases(folds):
        what = "cases" if enough == len(groups) else f"groups of the {len(groups)} cases"
        found.append(Problem("", "", f"fewer {what} than folds need: {enough} for {folds} "
                                     "folds of training, validation and test"))
    return found


def unused_files(folder: Path, listing: Listing, problems: Sequence[Problem]) -> tuple[list[Problem], list[str]]:
    """Return dangling links to volumes as problems, and a line per kind of other files that no case uses."""
    return outside.left_out(folder, listing, problems)


def warnings(classes: labels.Classes, checked: Sequence[Checked]) -> list[str]:
    """Warn about classes that no case has: the label set may belong to another release of the dataset."""
    counted = [one.fingerprint.label_voxels for one in checked if one.fingerprint]
    return [f"no case has a voxel of class {name!r}" for name in classes
            if counted and not any(voxels.get(name) for voxels in counted)]


def describe_label(label: Label, manifest: Manifest, fingerprint: Fingerprint) -> dict[str, Any]:
    """Return the number of voxels of a label, its share of all voxels, and the number of cases that have it.

    If cases have lists of annotated labels, also the number of cases in which it was not annotated.
    """
    total = sum(int(np.prod(case.shape)) for case in fingerprint.cases.values())
    counts = [case.label_voxels.get(label.name, 0) for case in fingerprint.cases.values()]
    lists = [case.annotated for case in manifest.cases if case.annotated]
    apart = {"not_annotated": sum(label.name not in names for names in lists)} if lists else {}
    return {"voxels": sum(counts), "share": number(sum(counts) / total), "cases": sum(count > 0 for count in counts),
            **apart}


def text_of_label(label: dict[str, Any]) -> str:
    """Format a label of the summary, with what `describe_label` added, as text."""
    values = ", ".join(map(str, label["source_values"]))
    return (f"label {label['value']}   {label['name']} (in the files: {values}): "
            f"{label['share']:.2%} of all voxels, in {counted(label['cases'], 'case')}"
            + (f"; not annotated in {label['not_annotated']}" if "not_annotated" in label else ""))
