"""The model card of a model folder, in Markdown: what the network is for, what it learned from, how well it works.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contracts.comparison import NetworkRow
from ..contracts.ranges import Spread
from ..contracts.splits import Fold
from ..evaluation.layout import interval_text, markdown_table, number
from ..evaluation.tasks import TASKS
from ..evaluation.verdict import FEW, arch_name
from ..text import counted
from ..text import markdown as as_is
from ..tracking.records import Model
from . import resources
from .tasks import TASKS as SHOWN

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "not stated"
AXES = ("left–right", "posterior–anterior", "inferior–superior")
USE = "Research on images like the training images (see *Training images*)."
TO_COMPLETE = "State who may use it on what, before you pass it on (`--use`)."


@dataclass(frozen=True)
class Stated:
    """What the model folder does not record.

    Attributes:
        licence: Licence of the training data; empty if it is not known.
        source: Where the data come from; empty if it is not known.
        use: Intended use; empty for research.
    """

    licence: str = ""
    source: str = ""
    use: str = ""


def card(model: Model, rows: pd.DataFrame | None, fold: Fold | None, stated: Stated) -> str:
    """Return the card as Markdown.

    Args:
        model: The model.
        rows: Rows of `metrics.csv` of its test cases; None if there are none.
        fold: The fold of its training; None if it is not known.
        stated: What the model folder does not record.
    """
    parts = [*_title(model), *_use(stated), *_data(model, fold, stated), *_images(model), *_accuracy(model, rows),
             *_statement(model), *_training(model), *_limits(model, rows), *_identity(model)]
    return "\n".join(parts) + "\n"


def _title(model: Model) -> list[str]:
    origin, plan = model.provenance, model.plan
    names = ", ".join(as_is(label.name) for label in plan.labels)
    members = f" It is the mean of {len(model.members)} networks." if model.members else ""
    arch, width = as_is(origin.arch), as_is(origin.width)
    return [f"# Model card: {arch} {width}, {as_is(origin.dataset)}, fold {origin.fold}", "",
            f"A {width} {arch_name(origin.arch)} with {origin.parameters:,} parameters. It finds the "
            f"{SHOWN[plan.task].WHAT} {names} in {', '.join(map(as_is, plan.modalities))}.{members}", ""]


def _use(stated: Stated) -> list[str]:
    return ["## Intended use", "", as_is(stated.use) or f"{USE} {TO_COMPLETE}", "",
            "It is not a medical device. Do not use it for diagnosis or treatment.", ""]


def _data(model: Model, fold: Fold | None, stated: Stated) -> list[str]:
    lines = ["## Data", "", f"- Dataset: {as_is(model.provenance.dataset)}",
             f"- Source: {as_is(stated.source) or UNKNOWN}",
             f"- Licence of the data: {as_is(stated.licence) or UNKNOWN}"]
    if fold:
        lines.append(f"- Fold {fold.fold}: {counted(len(fold.train), 'training case')}, "
                     f"{len(fold.validation)} for validation, {len(fold.test)} for the test. No case is in two parts. "
                     "Checkpoint, postprocessing and windows were chosen on validation cases.")
    return [*lines, ""]


def _images(model: Model) -> list[str]:
    ranges = model.provenance.ranges
    if ranges is None:
        return []
    names = AXES if len(ranges.spacing_mm) == len(AXES) else ("rows", "columns")
    measured = {"spacing": ranges.spacing_mm, "field of view": ranges.extent_mm}
    rows = [[f"{what}, {name} (mm)", *_spread(axis)] for what, axes in measured.items()
            for name, axis in zip(names, axes, strict=True)]
    rows += [[f"{one.modality}, median intensity", *_spread(one.median)] for one in ranges.intensities]
    return ["## Training images", "", f"Of {counted(ranges.cases, 'training case')}. `pocket-infer` warns of images "
            "outside these ranges.", "", *markdown_table(["", "minimum", "median", "maximum"], rows, 1), ""]


def _spread(values: Spread) -> list[str]:
    return [f"{value:.4g}" for value in (values.minimum, values.median, values.maximum)]


def _accuracy(model: Model, rows: pd.DataFrame | None) -> list[str]:
    if rows is None:
        return ["## Accuracy", "", "There is none: no evaluation was given.", ""]
    layout, networks = TASKS[model.plan.task].layout, _networks(model, rows)
    shown = [[row.label, layout.TITLES[metric], *_summary(row, metric)] for row in networks for metric in layout.TITLES]
    cases = counted(max(row.cases for row in networks), "test case")
    return ["## Accuracy", "",
            f"On {cases} that took no part in training or selection; 95 % interval over cases.", "",
            *markdown_table(["Label", "Metric", "Mean", "95 % interval", "Cases"], shown, 2), ""]


def _statement(model: Model) -> list[str]:
    """Return what calibrates the statement with each case, and how it agrees with the truth."""
    known, scaled = model.calibration, model.temperatures
    if known is None:
        return []
    rows = [[one.label, str(one.cases), f"{100 * one.held_out.coverage:.1f} %",
             f"{100 * one.held_out.volume_coverage:.1f} %", f"{one.held_out.gap:.3f}"]
            if one.held_out else [one.label, str(one.cases), "no bound", "–", "–"] for one in known.labels]
    lines = ["## Statement with each case", "",
             f"Calibrated on {counted(known.cases, 'test case')} of {counted(len(known.folds), 'fold')} that the "
             "networks which predicted them had not seen. The columns are for cases that the calibration left out; "
             f"{100 * known.coverage:.0f} % is stated.", "",
             *markdown_table(["Label", "Cases", "Lower bound holds", "Volume in its interval",
                              "Dice above its bound, mean"], rows, 1), ""]
    if scaled:
        said = [f"{as_is(one.label)} {one.temperature:.2f} and {one.bias:+.2f}" + (
            f" (calibration error {one.before.ece:.4f} before, {one.after.ece:.4f} after)"
            if one.before and one.after else "") for one in scaled.labels if one.temperature is not None]
        lines += [f"Temperatures and biases of the probabilities, from {counted(scaled.cases, 'validation case')}: "
                  f"{'; '.join(said) or 'none'}.", ""]
    return lines


def _networks(model: Model, rows: pd.DataFrame) -> list[NetworkRow]:
    compared = TASKS[model.plan.task].comparison
    return compared.networks(model.provenance.arch, model.provenance.width, compared.labels(rows),
                             compared.with_means(rows))


def _summary(row: NetworkRow, metric: str) -> list[str]:
    values = row.metrics[metric]
    shown = "dice" if metric not in ("hd95_mm", "asd_mm") else metric
    return [number(values.mean, shown), interval_text(values.interval, shown, signed=False), str(values.n)]


def _training(model: Model) -> list[str]:
    origin, training = model.provenance, model.plan.training
    machine = origin.hardware
    patch = "×".join(map(str, training.patch))
    lines = ["## Training", "",
             f"- Recipe {as_is(origin.recipe)}, {counted(origin.total_steps, 'step')}, batch {training.batch}, patch "
             f"{patch}, {as_is(training.optimizer)} {training.learning_rate:g}, loss {as_is(training.loss)}, seed "
             f"{origin.seed}"]
    if origin.start:
        start = origin.start
        lines.append(f"- Started from {as_is(start.model or start.run_key)} ({counted(start.steps, 'step')})")
    on = ", ".join(map(as_is, filter(None, [machine.cpu, f"{machine.cores} cores" if machine.cores else None,
                                            *(machine.devices or ())])))
    lines += [f"- {resources.duration(origin.wall_seconds)} on {on or 'an unknown machine'}; "
              f"{resources.core_hours(model):.2g} {resources.unit([model])}; at most "
              f"{resources.mebibytes(origin.peak_host_memory_mib)} of host memory",
              "- Energy: " + (f"{resources.kilowatt_hours(origin.energy.kwh)} ({origin.energy.words})" if origin.energy
                             else "not recorded")]
    return [*lines, ""]


def _limits(model: Model, rows: pd.DataFrame | None) -> list[str]:
    lines = [f"- One training on fold {model.provenance.fold}; other folds and seeds give other weights.",
             "- The test cases come from the same dataset. Accuracy on images of other scanners, sites or patients is "
             "unknown."]
    if rows is not None:
        cases = rows["case"].nunique()
        if cases < FEW:
            lines.append(f"- With {counted(cases, 'test case')}, the intervals are unreliable.")
        lines += _worst(rows)
    if model.plan.annotation == "partial":
        lines.append("- Some voxels or labels of the training cases were not annotated.")
    if model.provenance.ranges is None:
        lines.append("- The ranges of the training images are not recorded: it does not warn of unlike images.")
    return ["## Limits", "", *lines, ""]


def _worst(rows: pd.DataFrame) -> list[str]:
    """Return a line about the case with the lowest mean Dice, for a segmentation."""
    if "dice" not in rows or rows["dice"].isna().all():
        return []
    means = rows.groupby("case")["dice"].mean()
    lost = int((rows["dice"] == 0).sum())
    said = f"- Worst test case: {as_is(str(means.idxmin()))}, mean Dice {means.min():.3f}."
    return [said + (f" A label was missed completely {counted(lost, 'time')}." if lost else "")]


def _identity(model: Model) -> list[str]:
    origin = model.provenance
    versions: Sequence[str] = [f"{as_is(name)} {as_is(version)}" for name, version in origin.versions.items()]
    return ["## Identity", "",
            f"- Run key `{origin.run_key}`, code `{origin.code}`, commit `{origin.commit or UNKNOWN}`",
            f"- PocketNet Suite {as_is(origin.version)}; {', '.join(versions)}",
            "- `checksums.json` in the model folder has the SHA-256 of every file."]
