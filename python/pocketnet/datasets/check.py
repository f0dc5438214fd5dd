"""Check a dataset's folder and write its manifest and fingerprint, or a table of all problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from .. import files, outputs
from ..contracts.fingerprint import CaseFingerprint, Fingerprint, Summary
from ..contracts.groups import Member, leaks, same_images, together
from ..contracts.labels import MEAN, Label
from ..contracts.manifest import Case as Entry
from ..contracts.manifest import ListedSplit, Manifest, PreprocessingRules
from ..contracts.reading import ReadingRules
from ..contracts.tasks import TASKS as RULES
from ..text import csv_text
from . import annotated, labels, layouts, reading
from . import groups as grouping
from .folder import Case, Listing, Problem, path_problems, text_problems
from .labels import Classes
from .presets import Preset
from .reading import Progress
from .tasks import TASKS
from .verify import CheckCase, Checked, number

PROBLEMS = "problems.csv"
MANIFEST = "manifest.json"
FINGERPRINT = "fingerprint.json"
KINDS = {MANIFEST: "manifest", FINGERPRINT: "fingerprint", PROBLEMS: None}
"""Files that a check writes, and their kinds."""
UNLABELLED = ("refuse", "skip", "keep")
"""Handling of cases without a label: report a missing label file; leave the case out; keep it for prediction."""


@dataclass
class Result:
    """Result of a check.

    Attributes:
        cases: Number of cases.
        problems: All problems, sorted; empty if the dataset can be used.
        warnings: Unusual findings that may be intended.
        todo: Advice on the problems, beyond "fix the files".
        left_out: One line per kind of files and folders that belong to no case: their number and names.
        manifest: Content of `manifest.json`; None with problems.
        fingerprint: Content of `fingerprint.json`; None with problems.
        groups: Number of groups and their source; None without groups.
    """

    cases: int
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    todo: str = ""
    left_out: list[str] = field(default_factory=list)
    manifest: Manifest | None = None
    fingerprint: Fingerprint | None = None
    groups: tuple[int, str] | None = None


@dataclass
class Listed:
    """A dataset before its cases are read.

    Attributes:
        folder: The dataset's folder.
        preset: The dataset's preset.
        listing: All cases.
        cases: The cases to read, with their groups.
        classes: The classes.
        rules: What reading a case needs to know.
        work: Reads a case.
        unlabelled: One of `UNLABELLED`.
        readable: Whether the names of labels and modalities suit the files between the steps.
        groups: Source of the groups; empty without groups.
        problems: Problems found so far.
        warnings: Unusual findings about the cases that are left out, and about the table of groups.
        left_out: As in `Result`.
    """

    folder: Path
    preset: Preset
    listing: Listing
    cases: list[Case]
    classes: Classes
    rules: ReadingRules
    work: CheckCase
    unlabelled: str
    readable: bool
    groups: str
    problems: list[Problem]
    warnings: tuple[list[str], list[str]]
    left_out: list[str]


def check(folder: Path, preset: Preset, *, modalities: Sequence[str] = (), label_set: str | None = None,
          folds: int | None = None, unlabelled: str = "refuse", threads: int | None = None,
          progress: Progress = lambda items, total: items) -> Result:
    """Read every case of a dataset once: `list_cases`, then `check_listed`, which have the arguments and errors."""
    found = list_cases(folder, preset, modalities=modalities, label_set=label_set, unlabelled=unlabelled)
    return check_listed(found, folds=folds, threads=threads, progress=progress)


def list_cases(folder: Path, preset: Preset, *, modalities: Sequence[str] = (), label_set: str | None = None,
               unlabelled: str = "refuse") -> Listed:
    """List the cases of a dataset, without reading their images.

    Args:
        folder: The dataset's folder.
        preset: The dataset's preset.
        modalities: Modalities to use; empty: all.
        label_set: Name of a label set, or `name=1+2,other=4`; None: the preset's default.
        unlabelled: One of `UNLABELLED`. `refuse` also leaves out cases that the dataset lists without a label.

    Raises:
        UsageError: The folder does not exist or has a different layout than the preset, or a modality, label or column
            is unknown.
    """
    task, listing = TASKS[preset.task], layouts.scan(folder, preset, modalities)
    chosen, problems, unlabelled_cases = _choose_cases(listing, unlabelled)
    grouped = grouping.assign(folder, chosen, preset.group, preset.stratify)
    cases = grouped.cases
    classes = task.choose_classes(folder, listing, cases, preset, label_set)
    missing, left_out = task.unused_files(folder, listing, problems)
    faulty = text_problems({"dataset": [preset.name], "modality": listing.modalities, "label": classes,
                            "group": {case.group for case in cases if case.group},
                            "stratum": {case.stratum for case in cases if case.stratum}})
    problems += missing + grouped.problems + path_problems(cases) + faulty
    if MEAN in classes and RULES[preset.task].first_value:
        problems.append(Problem("", "", f"label {MEAN!r}: it stands for the mean over labels in tables"))
    rules = ReadingRules(
        preset.task, {str(n): v for n, v in enumerate(classes.values())} if faulty else dict(classes),
        tuple(sorted(task.known_values(listing, preset, classes))), preset.label_grid,
        reading.sample(preset.task, len(cases)))
    work = task.checker(folder, rules)
    return Listed(folder, preset, listing, cases, classes, rules, _anonymous(work) if faulty else work, unlabelled,
                  not faulty, grouped.source, problems, (unlabelled_cases, grouped.warnings), left_out)


def write_batches(found: Listed, size: int | None, output: Path) -> int:
    """Write the cases in batches, as `reading.write_batches` does; none if names do not suit files between steps."""
    return reading.write_batches(found.folder, found.cases if found.readable else [], found.rules, size, output)


def check_listed(found: Listed, *, checked_files: Sequence[Path] = (), folds: int | None = None,
                 threads: int | None = None, progress: Progress = lambda items, total: items) -> Result:
    """Read every case once, and check them all.

    Args:
        found: The dataset, with its cases.
        checked_files: What other processes have found, see `reading.earlier`. Cases that they have not read, or that
            have changed since, are read here.
        folds: Number of folds for which there must be enough cases; None: not checked.
        threads: Number of cases read in parallel; None: one per available core, at most `reading.MOST_THREADS`. The
            result does not depend on it.
        progress: Passes the checked cases through and shows progress.

    Raises:
        UsageError: A file of `checked_files` does not exist.
        DataError: A file of `checked_files` is not valid.
    """
    preset, listing, cases, classes, problems = found.preset, found.listing, found.cases, found.classes, found.problems
    task = TASKS[preset.task]
    earlier = reading.earlier(checked_files, found.folder, cases, found.rules) if found.readable else {}
    left = [case for case in cases if case.name not in earlier]
    here = iter(reading.read(left, found.work, progress, threads))
    checked = [earlier[case.name] if case.name in earlier else next(here) for case in cases]

    problems += [problem for one in checked for problem in one.problems]
    if not cases and not problems:
        problems.append(Problem("", "", "no cases: the folder has none" + " with a label" * bool(found.warnings[0])))
    members = [Member(one.case.name, one.case.group, [*one.case.images.values()], one.case.label, one.sha256)
               for one in checked]
    groups = together(members)
    uneven = task.problems(replace(listing, cases=cases), classes, folds, {
        case.name: groups[case.name] for case in cases if case.labelled or found.unlabelled == "refuse"})
    uneven += _leaks(listing, together(members, images=False))
    problems += uneven
    if listing.test and not set(listing.test) & {case.name for case in cases if case.labelled}:
        problems.append(Problem("", "", "no case of the test list has a label"))
    warnings = [*listing.warnings, *found.warnings[0], *found.warnings[1],
                *(text for one in checked for text in one.warnings), *_same_files(members),
                *task.warnings(classes, checked)]
    todo = listing.todo
    if uneven and found.groups:
        todo += f" The groups are those of the {found.groups}; --group chooses others, or none."
    if listing.missing_labels and found.unlabelled == "refuse":
        todo += " Cases without a label may be left out: --unlabelled skip."
    result = Result(len(cases), sorted(problems), warnings, todo.strip(), found.left_out)
    if not problems:
        described = labels.as_manifest(classes, RULES[preset.task].first_value, preset.label_codes)
        result.manifest = _manifest(preset, listing, described, checked, classes.ignore)
        if found.groups:
            result.groups = len(set(groups.values())), found.groups
        result.fingerprint = _fingerprint(preset, checked)
    return result


def _anonymous(work: CheckCase) -> CheckCase:
    """Return the function that checks one case if names are faulty: it measures nothing, as no record takes them."""
    def checked(case: Case) -> Checked:
        found = work(replace(case, images={str(n): path for n, path in enumerate(case.images.values())}))
        found.fingerprint = None
        return found

    return checked


def _choose_cases(listing: Listing, unlabelled: str) -> tuple[list[Case], list[Problem], list[str]]:
    """Return the cases to read, the problems with names and files, and a warning that lists the cases left out."""
    missing = {problem.case for problem in listing.missing_labels}
    out = {case.name for case in listing.cases if not case.labelled
           and (unlabelled == "skip" or unlabelled == "refuse" and case.name not in missing)}
    problems = [*listing.problems, *(listing.missing_labels if unlabelled == "refuse" else [])]
    warning = [f"left out, they have no label: {', '.join(sorted(out))}"] if out else []
    return ([case for case in listing.cases if case.name not in out],
            [problem for problem in problems if problem.case not in out], warning)


def _same_files(members: Sequence[Member]) -> Iterator[str]:
    """Warn about byte-identical images, which could be in both the training and the test set."""
    for places in same_images(members):
        several = len({case for case, _ in places}) > 1
        yield (f"the same image: {', '.join(sorted(path for _, path in places))}"
               + "; a drawn split keeps their cases in one part" * several)


def _leaks(listing: Listing, groups: Mapping[str, str]) -> list[Problem]:
    """Return a problem for each group with cases both in the dataset's own test list and outside it."""
    listed = set(listing.test or ())
    if not listed:
        return []
    parts = {"the test list": listed & groups.keys(), "training": groups.keys() - listed}
    return [Problem("", "", f"one group is in training and test: {line}. Move its cases to one of them")
            for line in leaks(groups, parts)]


def _manifest(preset: Preset, listing: Listing, described: tuple[Label, ...], checked: Sequence[Checked],
              ignore: int | None) -> Manifest:
    there = {one.case.name for one in checked if one.case.labelled}
    return Manifest(
        dataset=preset.name, layout=preset.layout, task=preset.task,
        dimensions=RULES[preset.task].dimensions, modalities=tuple(listing.modalities), labels=described,
        preprocessing=PreprocessingRules.from_json(dict(preset.preprocessing), f"preset {preset.name}"),
        label_grid=preset.label_grid if preset.label_grid != "own" else None,
        split=ListedSplit("listed", tuple(case for case in listing.test if case in there)) if listing.test else None,
        caution=preset.caution or None, ignore=ignore,
        cases=tuple(_entry(one, listing.modalities, [label.name for label in described]) for one in checked))


def _entry(one: Checked, modalities: Sequence[str], names: Sequence[str]) -> Entry:
    """Return a case's entry in the manifest."""
    return Entry(one.case.name, tuple(one.case.images[m] for m in modalities), one.case.label, one.sha256,
                 class_name=one.case.class_name, group=one.case.group, stratum=one.case.stratum,
                 annotated=annotated.incomplete(one.case, names))


def _fingerprint(preset: Preset, checked: Sequence[Checked]) -> Fingerprint:
    cases = {one.case.name: cast(CaseFingerprint, one.fingerprint) for one in checked}

    def median(key: str) -> tuple[float, ...]:
        return tuple(number(v) for v in np.median([getattr(case, key) for case in cases.values()], axis=0))

    return Fingerprint(preset.name, cases, Summary(median("shape"), median("cropped_shape"), median("spacing_mm")))


def write_result(result: Result, out: Path) -> None:
    """Write the manifest and the fingerprint, or only the table of problems.

    Outdated files of an earlier check are removed. The manifest is written last, so that it always matches the
    fingerprint in the same folder.
    """
    outputs.remove(out / MANIFEST, "manifest")
    if result.problems:
        outputs.remove(out / FINGERPRINT, "fingerprint")
        files.write_text(out / PROBLEMS, table(result.problems))
    else:
        outputs.remove(out / PROBLEMS)
        cast(Fingerprint, result.fingerprint).write(out / FINGERPRINT)
        cast(Manifest, result.manifest).write(out / MANIFEST)


def table(problems: Sequence[Problem]) -> str:
    """Format the problems as CSV with the columns `case,file,problem`."""
    return csv_text(("case", "file", "problem"), ((found.case, found.file, found.problem) for found in problems))


def summary(result: Result) -> dict[str, Any]:
    """Summarise a result without problems: cases, labels with their share of all voxels (or cases), and ranges."""
    manifest, fingerprint = cast(Manifest, result.manifest), cast(Fingerprint, result.fingerprint)
    prints = fingerprint.cases
    task = TASKS[manifest.task]
    learned = [{**label.to_json(), **task.describe_label(label, manifest, fingerprint)} for label in manifest.labels]
    ranges = {}
    for key in ("shape", "cropped_shape", "spacing_mm"):
        values = np.array([getattr(case, key) for case in prints.values()])
        ranges[key] = {"minimum": values.min(axis=0).tolist(),
                       "median": list(getattr(fingerprint.summary, key)),
                       "maximum": values.max(axis=0).tolist()}
    return {
        "dataset": manifest.dataset, "task": manifest.task, "cases": result.cases,
        **({"groups": result.groups[0], "groups_by": result.groups[1]} if result.groups else {}),
        "modalities": list(manifest.modalities), "labels": learned,
        "orientations": sorted({case.orientation for case in prints.values()}),
        **ranges, "warnings": result.warnings, "left_out": result.left_out,
    } | ({"ignore": manifest.ignore} if manifest.ignore is not None else {})
