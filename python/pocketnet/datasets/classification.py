"""Check a dataset of a classification: 2D images (read once, for checksum, problems and statistics) and classes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from ..contracts.fingerprint import CaseFingerprint, Fingerprint
from ..contracts.labels import Label
from ..contracts.manifest import Manifest
from ..contracts.reading import ReadingRules
from ..contracts.splits import too_few
from ..errors import DataError, UsageError
from ..preprocessing.picture import empty, parse
from .folder import Case, Listing, Problem, unreadable
from .labels import Classes
from .presets import Preset
from .verify import CheckCase, Checked, intensities, number

SAMPLE = 50
"""Maximum pixels per image in the fingerprint; fewer than for volumes, because image datasets have far more cases."""


def verify_picture(folder: Path, case: Case, most: int) -> Checked:
    """Read an image, check it for problems, and compute its fingerprint.

    Args:
        folder: The dataset's folder.
        case: The case. Its layout has already reported missing images; they are skipped here.
        most: Maximum intensities per modality in the fingerprint.
    """
    out = Checked(case)
    measured = []
    for modality, path in case.images.items():
        if not (folder / path).exists():
            return out
        try:
            content = (folder / path).read_bytes()
            out.sha256[path] = hashlib.sha256(content).hexdigest()
            pixels = parse(content, path)
        except OSError as error:
            out.problem(path, unreadable(error))
            continue
        except DataError as error:
            out.problem(path, error.what)
            continue
        if fault := empty(pixels):
            out.problem(path, fault)
            continue
        measured.append(intensities(modality, pixels, pixels.ravel(), most))
        shape = pixels.shape
    if measured and not out.problems:
        out.fingerprint = CaseFingerprint(shape, (1.0, 1.0), "rows, columns", shape, {}, tuple(measured))
    return out


def choose_classes(folder: Path, listing: Listing, cases: Sequence[Case], preset: Preset, asked: str | None) -> Classes:
    """Return the classes, in order, each with its number.

    Args:
        folder: The dataset's folder.
        listing: The dataset's cases.
        cases: The cases to check.
        preset: The dataset's preset.
        asked: Value of `--labels`, which a classification does not support.

    Raises:
        UsageError: `asked` is given.
    """
    if asked:
        raise UsageError("A classification has its classes from the dataset's list; --labels is for segmentation.",
                         where=f"--labels {asked}", todo="Leave --labels out.")
    names = preset.classes or sorted({cast(str, case.class_name) for case in listing.cases})
    return Classes({name: (value,) for value, name in enumerate(names)})


def known_values(listing: Listing, preset: Preset, classes: Classes) -> frozenset[int]:
    """Return no values: there are no label files."""
    return frozenset()


def checker(folder: Path, rules: ReadingRules) -> CheckCase:
    """Return the function that checks one case, as `tasks.DatasetTask` describes."""
    return partial(verify_picture, folder, most=rules.sample)


def problems(listing: Listing, classes: Classes, folds: int | None, groups: Mapping[str, str]) -> list[Problem]:
    """Return problems for classes that have too few images to split, and for a dataset with a single class."""
    if not listing.cases:
        return []
    counts = Counter(case.class_name for case in listing.cases)
    present = [name for name in classes if counts[name]]
    if len(present) < 2:
        return [Problem("", "", f"only one class: every image is {present[0]!r}" if present else
                        "no image has one of the classes " + ", ".join(classes))]
    absent = [Problem("", "", f"no image has the class {name!r}") for name in classes if not counts[name]]
    listed = set(listing.test or ())
    rest = [(cast(str, case.class_name), groups[case.name]) for case in listing.cases
            if case.class_name in classes and case.name in groups and case.name not in listed]
    few = too_few(rest, folds or 2) if listing.test is None else too_few(rest, 1)
    return absent + [Problem("", "", f"too few to split: {line}") for line in few]


def unused_files(folder: Path, listing: Listing, problems: Sequence[Problem]) -> tuple[list[Problem], list[str]]:
    """Return nothing: the layouts of images report the files that they do not use."""
    return [], []


def warnings(classes: Classes, checked: Sequence[Checked]) -> list[str]:
    """Return no warnings: `problems` reports an absent class."""
    return []


def describe_label(label: Label, manifest: Manifest, fingerprint: Fingerprint) -> dict[str, Any]:
    """Return the number of cases of a class, and its share of all cases."""
    count = sum(case.class_name == label.name for case in manifest.cases)
    return {"cases": count, "share": number(count / len(manifest.cases))}


def text_of_label(label: dict[str, Any]) -> str:
    """Format a label of the summary, with what `describe_label` added, as text."""
    return f"class {label['value']}   {label['name']}: {label['cases']} images ({label['share']:.1%})"
