"""Calibrate the networks of a cross-validation: the statement with each case, and the probabilities.

The statement is from the features and metrics of test cases, the probabilities from validation cases.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import files, outputs
from ..contracts import features
from ..contracts.calibration import Calibration, needed
from ..contracts.tasks import TASKS
from ..contracts.temperatures import Temperatures
from ..errors import DataError, UsageError
from ..evaluation import table
from ..evaluation.statement import fit, held_out
from ..text import counted, some
from ..training.model_folder import CALIBRATION, ModelFolder, write_checksums
from . import find_temperatures, temperatures


@dataclass(frozen=True)
class Settings:
    """Coverage and thresholds of a calibration, as in `contracts.calibration.Calibration`."""

    coverage: float = 0.9
    accept: float = 0.75
    reject: float = 0.5


@dataclass(frozen=True)
class Calibrated:
    """Networks that predict in one way, and their calibration.

    Attributes:
        models: Their model folders.
        calibration: Of the statement with each case.
        temperatures: Of the probabilities; None if they were not asked for, or with too few validation cases.
    """

    models: Sequence[ModelFolder]
    calibration: Calibration
    temperatures: Temperatures | None = None


def write_calibrated(models: Sequence[Path], evaluations: Sequence[Path], output: Path, settings: Settings,
                     validation: find_temperatures.Validation | None = None) -> list[Calibrated]:
    """Write model folders again, with a calibration.

    Args:
        models: Model folders, or folders that contain them.
        evaluations: Outputs of pocket-evaluate, or folders that contain them.
        output: Folder for the new model folders, which have the names of the old ones.
        settings: Coverage and thresholds.
        validation: What temperatures are found by; None to keep those that are there.

    Returns:
        The calibration, which is the same in all folders; several if some of the networks average mirrored images and
        others do not.

    Raises:
        UsageError: There is no model folder or no evaluation of one, or the models are not one network per fold.
        DataError: A folder is damaged, the evaluations have no features, or the splits are of another training.
    """
    opened = [ModelFolder.open(path)
              for path in files.folders_with(models, "provenance.json", "model folder", "pocket-train")]
    _check_alike(opened)
    targets = {model.path: output / _name(model, opened) for model in opened}
    for target in targets.values():
        outputs.check_folder(target, [*models, *evaluations, *(validation.stores if validation else ())])
    evaluated = files.folders_with(evaluations, "metrics.csv", "evaluation", "pocket-evaluate")
    made = []
    for alike, cases in _by_way(opened, evaluated):
        found = None
        if validation:
            found = find_temperatures.find(alike, validation, cases[0].features.predictions)
        made.append(Calibrated(alike, calibrate(alike, cases, settings), found))
    replaced = {CALIBRATION, temperatures.FILE} if validation else {CALIBRATION}
    for one in made:
        for model in one.models:
            with files.atomic_folder(targets[model.path]) as temporary:
                model.copy(model.sha256.keys() - replaced, temporary)
                one.calibration.write(temporary / CALIBRATION)
                if one.temperatures:
                    one.temperatures.write(temporary / temperatures.FILE)
                write_checksums(temporary)
    return made


def _by_way(models: Sequence[ModelFolder], evaluations: Sequence[Path]
            ) -> list[tuple[list[ModelFolder], list[fit.Case]]]:
    """Return the networks and their calibration cases, apart for each number of predictions that are averaged.

    The validation cases of a fold decide on mirroring, so folds can differ. A network without cases joins most others.

    Raises:
        UsageError: There are no cases.
        DataError: The cases of one network were predicted in different ways.
    """
    cases: dict[str, list[fit.Case]] = {}
    for folder in evaluations:
        for key, found in cases_of(folder, models).items():
            cases.setdefault(key, []).extend(found)
    if not cases:
        raise UsageError("None of the evaluations is of one of these models.",
                         where=", ".join(map(str, evaluations)))
    ways = {}
    for key, own in cases.items():
        ways[key] = own[0].features.predictions
        if len({case.features.predictions for case in own}) > 1:
            raise DataError("The cases were predicted in different ways, with mirrored images and without.",
                            todo="Predict all of them in one way: pocket-infer --tta or --no-tta.")
    usual = Counter(ways.values()).most_common(1)[0][0]
    out = []
    for way in sorted(set(ways.values())):
        alike = [model for model in models if ways.get(model.provenance.run_key, usual) == way]
        out.append((alike, [case for model in alike for case in cases.get(model.provenance.run_key, ())]))
    return out


def calibrate(models: Sequence[ModelFolder], cases: Sequence[fit.Case], settings: Settings) -> Calibration:
    """Return the calibration of the statement of networks that predict in one way, from their calibration cases."""
    first, order = models[0], sorted(models, key=lambda model: model.provenance.fold)
    there = {case.fold for case in cases}
    names = [label.name for label in first.labels]
    image, labels = fit.fit(cases, names, settings.coverage)
    known = Calibration(
        first.provenance.dataset, first.provenance.arch, first.provenance.width, tuple(sorted(there)),
        tuple(model.provenance.run_key for model in order), cases[0].features.predictions, len(cases),
        settings.coverage, settings.accept, settings.reject, image, tuple(labels), None)
    return held_out.measured(known, list(held_out.statements(known, cases)))


def in_words(made: Sequence[Calibrated]) -> str:
    """Return what was calibrated, and how it agrees with the truth for cases that were left out."""
    return "\n".join(text for one in made for text in (_statement(one.calibration),
                                                       find_temperatures.in_words(one.temperatures)) if text)


def _statement(known: Calibration) -> str:
    lines = [f"{known.dataset}, {known.arch} {known.width}: calibrated on {counted(known.cases, 'test case')} of "
             f"{counted(len(known.folds), 'fold')}"]
    for one in known.labels:
        if one.held_out is None:
            lines.append(f"{one.label}: no bound, because {counted(one.cases, 'case')} of at least "
                         f"{needed(known.coverage)} needed (in each fold's absence) are there")
            continue
        held = one.held_out
        correlation = "" if held.correlation is None else f", correlation with the expected {held.correlation:.2f}"
        lines.append(f"{one.label}: coverage {held.coverage:.1%} of {known.coverage:.0%} stated, volumes "
                     f"{held.volume_coverage:.1%}; bound {held.gap:.3f} below the Dice on average{correlation}")
    if known.flags:
        lines.append(f"flags with a lower bound from {known.accept:g}: {known.flags.accept} accept, {known.flags.look} "
                     f"look, {known.flags.reject} reject")
    return "\n".join(lines)


def _name(model: ModelFolder, models: Sequence[ModelFolder]) -> str:
    """Return the name of a model's new folder: the old one's, or that of its fold if others have the same."""
    name = model.path.resolve().name
    return name if sum(other.path.resolve().name == name for other in models) == 1 else f"fold{model.provenance.fold}"


def _check_alike(models: Sequence[ModelFolder]) -> None:
    """Check that models are one network, trained on different folds of one dataset.

    Raises:
        UsageError: They are not, or they do not segment.
    """
    for model in models:
        if not TASKS[model.plan.task].per_voxel:
            raise UsageError("Only networks that segment are calibrated.", where=str(model.path))
    first = models[0]
    for what, values in (
            ("dataset", [model.provenance.dataset for model in models]),
            ("arch", [model.provenance.arch for model in models]),
            ("width", [model.provenance.width for model in models]),
            ("labels", [[label.name for label in model.labels] for model in models])):
        if any(value != values[0] for value in values):
            raise UsageError(f"These models are not one network: their {what} differs.", where=str(first.path),
                             todo="Give the model folders of one network, one per fold.")
    folds = [model.provenance.fold for model in models]
    if twice := sorted({fold for fold in folds if folds.count(fold) > 1}):
        raise UsageError(f"There are several models of fold {twice[0]}.", where=str(first.path),
                         todo="Give one model folder per fold.")


def cases_of(folder: Path, models: Sequence[ModelFolder]) -> dict[str, list[fit.Case]]:
    """Return the calibration cases of an evaluation by the run key of its model; none if it is of another model."""
    outputs.check_unaltered(folder / name for name in ("metrics.csv", features.TABLE))
    rows = table.read(folder / "metrics.csv")
    key = str(rows["run_key"].iloc[0])
    if key not in {model.provenance.run_key for model in models}:
        return {}
    found = features.read(folder / features.TABLE)
    wanted = list(dict.fromkeys(rows["case"]))
    if missing := [case for case in wanted if case not in found]:
        raise DataError(f"{len(missing)} of {len(wanted)} evaluated cases have no features: {some(missing)}",
                        where=str(folder / features.TABLE),
                        todo="Predict them with pocket-infer --manifest, and evaluate the predictions again.")
    cases = []
    for name, of_case in rows.groupby("case", sort=False):
        group = of_case["group"].iloc[0]
        truths = {row.label: fit.Truth(row.dice, row.reference_ml, row.predicted_ml) for row in of_case.itertuples()
                  if not (math.isnan(row.reference_ml) or math.isnan(row.predicted_ml))}
        cases.append(fit.Case(str(name), int(of_case["fold"].iloc[0]), group if isinstance(group, str) else str(name),
                              found[str(name)].features, truths))
    return {key: cases}
