"""Compute the content of the report from a run's records, as numbers and text without markup."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import __version__
from ..contracts.comparison import Comparison
from ..contracts.labels import CLASSIFICATION, SEGMENTATION
from ..contracts.overlays import Overlay
from ..evaluation import layout, verdict
from ..evaluation.comparison import MEAN, REFERENCE
from ..evaluation.metrics import METRICS
from ..evaluation.overlay import pick
from ..evaluation.table import task_of
from ..tracking.records import Evaluation, Model, Run
from . import class_content, copies, figures, resources

if TYPE_CHECKING:
    import pandas as pd

MOST_CASE_ROWS = 3000
RANKS = ("best", "median", "worst")


def context(run: Run, command: str | None = None) -> dict[str, Any]:
    """Compute all values that the template shows."""
    rows = _rows(run)
    networks = _networks(run, rows)
    names = [" ".join(key) for key in networks]
    colours = figures.network_colours(names)
    comparison = run.comparison
    task = _task(run, rows)
    classified = task == CLASSIFICATION
    column = "class" if classified else "label"
    labels = list(dict.fromkeys(rows[column])) if rows is not None else []
    pairs = verdict.headline_pairs(comparison) if comparison else []
    said = comparison or (run.models[0].provenance if run.models else None)
    dataset = said.dataset if said else "unknown dataset"
    return {
        "dataset": dataset, "version": __version__, "command": command,
        "verdicts": [verdict.verdict(pair, comparison.networks if comparison else ())
                     | {"facts": resources.facts(run, pair), "reference": pair.reference, "width": pair.width}
                     for pair in pairs],
        "networks": names, "network_colours": {name: figures.NETWORKS.index(colour)
                                               for name, colour in colours.items()},
        "what": _what_ran(run, rows, labels), "missing": _missing(run, rows, networks),
        "notes": list(comparison.notes) if comparison else [],
        "warnings": _warnings(run) + (_of_rows(rows, classified) if rows is not None else []),
        "curves": figures.learning_curves(run.models, colours), "resources": resources.resources(run),
        "score": figures.SCORES[task][1], "training": resources.training(run.models, figures.SCORES[task][0]),
        "provenance": _provenance(run.models), "bibtex": copies.BIBTEX,
        **(class_content.sections(comparison, rows, run.evaluations, networks, colours) if classified else
           _sections(comparison, rows, run.evaluations, networks, colours)),
    }


def _task(run: Run, rows: pd.DataFrame | None) -> str:
    """Return the task of the run, from the first record that states it."""
    said: list[str] = [run.comparison.task] if run.comparison else []
    said += [task_of(rows)] if rows is not None else []
    said += [model.plan.task for model in run.models if model.plan]
    return next(filter(None, said), SEGMENTATION)


def _sections(comparison: Comparison | None, rows: pd.DataFrame | None, evaluations: Sequence[Evaluation],
              networks: Sequence[tuple[str, str]], colours: dict[str, str]) -> dict[str, Any]:
    """Compute the template values that are specific to a segmentation."""
    labels = list(dict.fromkeys(rows["label"])) if rows is not None else []
    return {
        "sections": None, "titles": layout.TITLES,
        "columns": [(title, layout.summary_columns(metric)) for metric, title in layout.TITLES.items()],
        "accuracy": _accuracy(comparison) if comparison else [],
        "differences": _differences(comparison) if comparison else [],
        "texts": copies.tables(comparison, layout),
        "few": figures.FEW, "most_lines": figures.MOST_LINES,
        "boxes": [(label, figures.box_plots(rows, networks, label, colours)) for label in labels],
        "many": rows is not None and rows.groupby(["arch", "width", "label"]).size().max() > figures.MOST_LINES,
        "overlays": _overlays(evaluations), "cases": _cases(rows),
    }


def _rows(run: Run) -> pd.DataFrame | None:
    import pandas as pd

    return pd.concat([one.rows for one in run.evaluations], ignore_index=True) if run.evaluations else None


def _networks(run: Run, rows: pd.DataFrame | None) -> list[tuple[str, str]]:
    """List (arch, width) of all networks: full first, then by decreasing number of parameters."""
    found = {(row.arch, row.width): row.parameters for row in (run.comparison.networks if run.comparison else ())}
    found |= {(m.provenance.arch, m.provenance.width): m.provenance.parameters for m in run.models}
    if rows is not None:
        found |= {key: int(group["parameters"].iloc[0]) for key, group in rows.groupby(["arch", "width"])}
    return sorted(found, key=lambda key: (key[0], key[1] != REFERENCE, -found[key], key[1]))


def _what_ran(run: Run, rows: pd.DataFrame | None, labels: Sequence[str]) -> list[tuple[str, str]]:
    """Return the rows of the section "What ran", each a name and a value."""
    def several(key: str) -> str:
        return ", ".join(dict.fromkeys(str(getattr(model.provenance, key)) for model in run.models))

    what = []
    if rows is not None:
        kind = "classes" if task_of(rows) == CLASSIFICATION else "labels"
        what.append(("Cases", f"{rows['case'].nunique()} tested, {kind}: {', '.join(labels)}"))
    if run.models:
        what += [("Recipe", several("recipe")), ("Seed", several("seed")),
                 ("Folds", _folds(sorted({m.provenance.fold for m in run.models})))]
        members = {tuple(member.seed for member in model.members) for model in run.models if model.members}
        what += [("Networks per fold", f"{len(seeds)}, averaged (seeds {', '.join(map(str, seeds))})")
                 for seeds in sorted(members)]
    plans = [model.plan for model in run.models if model.plan]
    if plans:
        training, network = plans[0].training, plans[0].network
        what += [("Modalities", ", ".join(plans[0].modalities)),
                 ("Network", f"{network.dimensions}D, {network.depth} downsamplings, "
                  f"{network.feature_maps} first feature maps, {network.norm.replace('none', 'no')} norm"),
                 ("Training", f"{training.epochs} epochs of {training.steps_per_epoch} steps, batch "
                  f"{training.batch}, patch {'×'.join(map(str, training.patch))}, {training.optimizer} "
                  f"{training.learning_rate:g}, loss {training.loss}")]
    if run.models:
        first = run.models[0].provenance
        machine = first.hardware
        hardware = [machine.cpu] if machine.cpu else []
        if machine.cores:
            hardware.append(f"{machine.cores} cores")
        if machine.memory_mib:
            hardware.append(resources.mebibytes(machine.memory_mib))
        hardware += [device for device in machine.devices or ()
                     if not device.lower().startswith("cpu")]  # the CPU is already listed
        what += [("Hardware", ", ".join(hardware)),
                 ("Software", ", ".join([f"pocketnet {several('version')}",
                                         *(f"{name} {value}" for name, value in first.versions.items())])),
                 ("Total training time", resources.duration(sum(m.provenance.wall_seconds for m in run.models)))]
    return what


def _folds(numbers: Sequence[int]) -> str:
    """Format the number of folds and which ones they are."""
    return f"{len(numbers)}: number{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _missing(run: Run, rows: pd.DataFrame | None, networks: Sequence[tuple[str, str]]) -> list[str]:
    """List the parts of a complete report that this run lacks."""
    lines = list(run.problems)
    if run.comparison is None:
        lines.append("There is no comparison.")
    if not run.models:
        lines.append("There are no model folders, so the report has no learning curves, provenance or times.")
    if rows is None:
        lines.append("There are no evaluations, so the report has no box plots, cases or pictures.")
    widths = {width for _, width in networks}
    if len(networks) == 1:
        lines.append(f"Only one network was run ({' '.join(networks[0])}): there is no network to compare it with.")
    elif networks and REFERENCE not in widths:
        lines.append("No full network was run, so the other networks cannot be compared with it.")
    folds = {model.provenance.fold for model in run.models}
    if len(folds) == 1:
        lines.append("Only one fold was run, so the variation between trainings is unknown.")
    evaluated = {one.run_key for one in run.evaluations}
    lines += [f"{model.name}: trained, but not evaluated." for model in run.models
              if run.evaluations and model.provenance.run_key not in evaluated]
    lines += [f"{model.name}: there is no learning history." for model in run.models if not model.history]
    return lines


def _warnings(run: Run) -> list[str]:
    lines = []
    for model in run.models:
        attempts = model.provenance.attempts
        if len(attempts) > 1:
            ends = ", ".join(attempt.ended for attempt in attempts[:-1])
            lines.append(f"{model.name}: trained in {len(attempts)} attempts ({ends} before); "
                         f"{model.provenance.steps} steps in total.")
    return lines


def _of_rows(rows: pd.DataFrame, classified: bool) -> list[str]:
    """Warn about metrics that need attention, for example labels that a network missed entirely."""
    if classified:
        return class_content.warnings(rows)
    lines = []
    for (arch, width, label), group in rows[rows["dice"].isna()].groupby(["arch", "width", "label"]):
        lines.append(f"{arch} {width}: {label} has no Dice in {_cases_of(group)}; means exclude these values.")
    lost = rows[rows["dice"] == 0]
    for (arch, width, label), group in lost.groupby(["arch", "width", "label"]):
        lines.append(f"{arch} {width}: {label} has Dice 0 in {_cases_of(group)}")
    return lines


def _cases_of(group: pd.DataFrame) -> str:
    """How many cases, and the first few by name."""
    names = ", ".join(group["case"].head(5)) + (" …" if len(group) > 5 else "")
    return f"{len(group)} case{'s' * (len(group) > 1)}: {names}"


def _accuracy(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row per label and network, as in the paper's Table I."""
    order = comparison.networks
    labels = list(dict.fromkeys(row.label for row in order))
    if len(labels) == 2 and MEAN in labels:
        labels.remove(MEAN)
    result = []
    for label in labels:
        for row in (row for row in order if row.label == label):
            cells = [cell for metric in METRICS for cell in layout.summary_cells(row.metrics[metric], metric)]
            result.append({"label": label, "network": f"{row.arch} {row.width}", "cases": row.cases,
                           "parameters": row.parameters, "cells": cells})
    return result


def _differences(comparison: Comparison) -> list[dict[str, Any]]:
    single = len({pair.label for pair in comparison.pairs}) == 2
    rows = []
    for pair in comparison.pairs:
        if single and pair.label == MEAN:
            continue
        metric = pair.metric
        rows.append({"label": pair.label, "network": f"{pair.arch} {pair.width}",
                     "metric": layout.TITLES[metric], "n": pair.n, "difference": pair.difference,
                     "difference_text": layout.number(pair.difference, metric, True),
                     "interval": layout.interval_text(pair.interval, metric),
                     "p": pair.p_value, "p_text": layout.p_text(pair.p_value),
                     "holm": pair.p_holm, "holm_text": layout.p_text(pair.p_holm),
                     "equivalence": layout.equivalence_text(pair)})
    return rows


def _overlays(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Return pictures of each network's best, median and worst case over its folds, as data URIs.

    The best cases of all networks come first, so that the pictures of two networks appear side by side.
    """
    groups: dict[tuple[str, str], dict[str, tuple[Overlay, Path]]] = {}
    for one in evaluations:
        key = one.rows["arch"].iloc[0], one.rows["width"].iloc[0]
        for entry in one.overlays:
            if entry.dice is not None and (one.folder / entry.file).is_file():
                groups.setdefault(key, {})[entry.case] = (entry, one.folder / entry.file)
    result = []
    for (arch, width), drawn in sorted(groups.items()):
        for rank, case in pick({case: cast(float, entry.dice) for case, (entry, _) in drawn.items()}):
            entry, path = drawn[case]
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            result.append({"network": f"{arch} {width}", "rank": rank, "case": case, "dice": f"{entry.dice:.3f}",
                           "data": f"data:image/png;base64,{data}",
                           "alt": f"{case}, {rank} case of {arch} {width}, Dice {entry.dice:.3f}: three planes with "
                                  "the outlines of reference and prediction, and below them the voxels that differ"})
    return sorted(result, key=lambda picture: RANKS.index(picture["rank"]))


def _cases(rows: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return the metrics of each case, worst first; very long tables omit the best rows."""
    if rows is None:
        return None
    ordered = rows.sort_values(["dice", "case"], na_position="last")
    shown = [{"case": row.case, "label": row.label, "network": f"{row.arch} {row.width}", "fold": row.fold,
              "cells": [(None if np.isnan(value) else float(value),
                         layout.number(None if np.isnan(value) else value, metric))
                        for metric in METRICS for value in [getattr(row, metric)]]}
             for row in ordered.head(MOST_CASE_ROWS).itertuples()]
    return {"rows": shown, "left_out": max(0, len(ordered) - MOST_CASE_ROWS)}


def _provenance(models: Sequence[Model]) -> list[dict[str, Any]]:
    return [{"network": f"{m.provenance.arch} {m.provenance.width}", "fold": m.provenance.fold,
             "run_key": m.provenance.run_key, "code": m.provenance.code,
             "commit": (m.provenance.commit or "–")[:12], "seed": m.provenance.seed,
             "version": m.provenance.version} for m in models]
