"""Copy a run's records into the MLflow store.

Each dataset is an MLflow experiment. It contains one parent run per network × width, a child run per fold, and one run
for the comparison. `docs/output.md` lists the content of each run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from ..contracts.comparison import Comparison
from ..contracts.energy import mean_kwh, total
from ..contracts.manifest import Manifest
from ..evaluation import verdict
from ..evaluation.configurations import mark
from ..evaluation.table import task_of
from ..evaluation.tasks import TASKS as COMPARISONS
from ..files import digest
from ..models.widths import configured
from ..training.tasks import TASKS as TRAININGS
from . import fold
from . import model as mlflow_model
from .records import Evaluation, Model, Run
from .registry import Candidate, register_best
from .store import Store
from .store import metric as store_metric
from .tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd

DEFINING = ("dataset", "arch", "width", "recipe", "code", "version", "seed", "parameters")  # same for all folds
PARAMETERS = ("arch", "width", "recipe", "seed", "parameters")
COST = ("wall_seconds", "peak_host_memory_mib", "peak_device_memory_mib")
MOST_NOTE = 8000  # characters in one tag, MLflow's limit
RECORDS = ("plan.json", "labels.json", "history.csv", "system.csv", "provenance.json", "calibration.json",
           "temperatures.json")
STATEMENT = ("coverage", "volume_coverage", "gap", "correlation")
"""Fields of `HeldOut` that are metrics of a network."""


@dataclass(frozen=True)
class Extras:
    """Additional records to store with the runs.

    Attributes:
        report: `report.html`, stored with the comparison.
        figures: Folder of SVG files, stored with the comparison.
        manifest: `manifest.json`, which describes the dataset.
    """

    report: Path | None = None
    figures: Path | None = None
    manifest: Manifest | None = None


@dataclass
class Collected:
    """Number of new runs and of runs that already existed; experiments; and the models of each dataset."""

    new: int = 0
    known: int = 0
    experiments: list[str] = field(default_factory=list)
    candidates: dict[str, list[Candidate]] = field(default_factory=dict)

    def count(self, made: bool) -> None:
        """Count one run."""
        self.new, self.known = self.new + made, self.known + (not made)


def collect(run: Run, store: Store, extras: Extras | None = None) -> Collected:
    """Add a run's records to the store. Repeating the call changes nothing.

    Args:
        run: The result of `records.read_run`.
        store: The store to add to.
        extras: Additional records to store.
    """
    collected, extras = Collected(), extras or Extras()
    by_key = {one.run_key: one for one in run.evaluations}
    groups: dict[str, list[Model]] = {}
    for model in run.models:  # group the folds of one network, plan and code
        defining = [getattr(model.provenance, key) for key in DEFINING]
        groups.setdefault(digest([model.plan and model.plan.to_file(), *defining]), []).append(model)
    with store.alone():
        networks = [_network(store, collected, key, models, [by_key[m.provenance.run_key] for m in models
                                                             if m.provenance.run_key in by_key], extras)
                    for key, models in groups.items()]
        for (_, models), network in zip(groups.items(), networks, strict=True):
            _mark(store, network, models[0], run.comparison)
        if run.comparison and run.comparison_folder:
            _comparison(store, collected, run, networks, extras)
        for dataset, candidates in collected.candidates.items():
            register_best(store, store.experiment(dataset), dataset, candidates)
    return collected


def _network(store: Store, collected: Collected, key: str, models: Sequence[Model],
             evaluations: Sequence[Evaluation], extras: Extras) -> str:
    """Add the parent run of a network × width and the runs of its folds; return the parent's id."""
    import pandas as pd

    first = models[0].provenance
    experiment = _experiment(store, collected, first.dataset)
    begin, end = min(_times(m)[0] for m in models), max(_times(m)[1] for m in models)
    parent, made = store.run(experiment, key, f"{first.arch} {first.width} {first.recipe}",
                             "network", start=begin)
    collected.count(made)
    # MLflow's comparison page shows the first logged metric first.
    metrics = aggregate(pd.concat([one.rows for one in evaluations])) if evaluations else {}
    metrics |= _per_case(evaluations)
    metrics |= calibration(models)
    metrics["wall_seconds"] = sum(m.provenance.wall_seconds for m in models)
    metrics |= _energy(models)
    energy = total([m.provenance.energy for m in models])
    store.log(parent, parameters={name: getattr(first, name) for name in PARAMETERS},
              tags={name: getattr(first, name) for name in fold.TAGS if getattr(first, name) is not None}
              | {"folds": ", ".join(str(m.provenance.fold) for m in models)}
              | ({"energy": energy.words} if energy else {}), metrics=metrics, end=end)
    by_key = {one.run_key: one for one in evaluations}
    for model in models:
        run = _fold(store, collected, experiment, parent, model, by_key.get(model.provenance.run_key))
        _dataset(store, run, first.dataset, extras.manifest)
    _dataset(store, parent, first.dataset, extras.manifest)
    return parent


def _mark(store: Store, network: str, model: Model, comparison: Comparison | None) -> None:
    """Tag the parent run of a network with its configuration, and whether it was chosen of two."""
    configuration = model.plan.configuration
    if configuration:
        chosen = mark(comparison.configurations if comparison else None, model.provenance.arch, model.provenance.width)
        store.add(network, parameters={}, metrics={}, tags={
            "configuration": ", ".join(filter(None, (configuration.name, chosen)))})


def _fold(store: Store, collected: Collected, experiment: str, parent: str, model: Model,
          evaluation: Evaluation | None) -> str:
    """Add the run of one training, or complete it if it was logged live; return its id."""
    provenance = model.provenance
    start, end = _times(model)
    run, made = store.run(experiment, provenance.run_key, fold.name(provenance), "fold", start=start, parent=parent)
    collected.count(made)
    store.log_history(run, model.history, start)
    store.log_history(run, fold.system_metrics(model.system), start)
    metrics = {name: getattr(provenance, name) for name in COST if getattr(provenance, name) is not None}
    metrics |= _energy([model])
    if model.history:  # a pruned network has none
        metrics["best_validation_loss"] = min(epoch["validation_loss"] for epoch in model.history)
    artifacts = {f"records/{name}": model.folder / name for name in RECORDS if (model.folder / name).is_file()}
    if evaluation is not None:
        metrics |= aggregate(evaluation.rows) | _per_case([evaluation])
        artifacts["metrics.csv"] = evaluation.folder / "metrics.csv"
        artifacts |= {name: evaluation.folder / name for task in TASKS.values() for name in task.FILES
                      if (evaluation.folder / name).is_file()}
        artifacts |= {entry.file: evaluation.folder / entry.file for entry in evaluation.overlays
                      if (evaluation.folder / entry.file).is_file()}
    store.log(run, parameters=fold.parameters(provenance, model.plan), metrics=metrics, end=end, parent=parent,
              tags=fold.tags(provenance) | ({"energy": provenance.energy.words} if provenance.energy else {}))
    store.log_files(run, artifacts)
    if model.plan and (model.folder / "model.keras").is_file():
        store.log_model(experiment, run, provenance.run_key, fold.name(provenance), provenance.steps,
                        lambda target: mlflow_model.write_model(model, target))
        score = TRAININGS[model.plan.task].COLUMNS[0]
        if scores := [epoch[score] for epoch in model.history if epoch.get(score) == epoch.get(score, nan)]:
            collected.candidates.setdefault(provenance.dataset, []).append(
                Candidate(max(scores), run, provenance.run_key, fold.name(provenance)))
    return run


def _energy(models: Sequence[Model]) -> dict[str, float]:
    """Return the energy of trainings, if it is known."""
    found = total([model.provenance.energy for model in models])
    return {"energy_kwh": found.kwh} if found and found.kwh is not None else {}


def _per_case(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """Return the mean energy of predicting a case, if it is known."""
    kwh = mean_kwh([cost.energy for one in evaluations for cost in one.costs])
    return {} if kwh is None else {"energy_kwh_per_case": kwh}


def _dataset(store: Store, run: str, name: str, manifest: Manifest | None) -> None:
    """Log the dataset with a checksum over its cases, labels and files."""
    if manifest is not None:
        store.log_dataset(run, name, digest(
            [[label.to_json() for label in manifest.labels], [case.to_json() for case in manifest.cases]]), {
            "cases": len(manifest.cases), "task": manifest.task, "modalities": list(manifest.modalities),
            "labels": [label.name for label in manifest.labels]})


def _comparison(store: Store, collected: Collected, records: Run, compared: Sequence[str], extras: Extras) -> None:
    """Add the run of the comparison: differences as metrics, tables and report as artifacts."""
    comparison = cast(Comparison, records.comparison)
    experiment = _experiment(store, collected, comparison.dataset)
    networks = sorted({f"{row.arch} {row.width}" for row in comparison.networks})
    key = digest([comparison.dataset, comparison.recipe, list(comparison.code), networks,
                  sorted(model.provenance.run_key for model in records.models)])
    run, made = store.run(experiment, key, f"comparison of {', '.join(networks)}", "comparison")
    collected.count(made)
    choices = comparison.configurations or ()
    metrics: dict[str, float] = {
        store_metric("validation_dice", f"{one.arch}-{configured(one.width, each.name)}"): each.dice
        for one in choices for each in one.results}
    for pair in comparison.pairs:
        values = {"difference": pair.difference, "p_value": pair.p_value}
        metrics |= {store_metric(name, pair.metric, pair.label, f"{pair.arch}-{pair.width}"): value
                    for name, value in values.items() if value is not None}
    store.log(run, parameters={}, metrics=metrics,
              tags={"dataset": comparison.dataset, "recipe": comparison.recipe,
                    "code": ", ".join(comparison.code),
                    **{f"configuration.{one.arch}-{one.width}": f"{one.chosen}: {one.reason}" for one in choices},
                    "mlflow.note.content": _note(comparison, experiment, compared)})
    files = {f"comparison/{path.name}": path for path in sorted(cast(Path, records.comparison_folder).iterdir())
             if path.is_file() and not path.name.startswith(".")}
    if extras.report is not None:
        files[extras.report.name] = extras.report
    if extras.figures is not None:
        files |= {f"figures/{path.name}": path for path in sorted(extras.figures.glob("*.svg"))}
    store.log_files(run, files)
    _dataset(store, run, comparison.dataset, extras.manifest)


def _note(comparison: Comparison, experiment: str, compared: Sequence[str]) -> str:
    """Return the verdict in words, a link to MLflow's comparison of the networks' runs, and the tables."""
    said = [verdict.verdict(pair, comparison) for pair in verdict.headline_pairs(comparison)]
    layout = COMPARISONS[comparison.task].layout
    page = f"#/compare-runs?runs={quote(json.dumps(compared))}&experiments={quote(json.dumps([experiment]))}"
    lines = [f"**{one['title']}.** {one['text']}" for one in said]
    if lines and len(compared) > 1:  # in the first line: MLflow shows only a few lines at once
        lines[0] += f" [The networks side by side]({page})."
    return "\n\n".join([*lines, *layout.markdown(comparison).split("\n", 1)[1:]])[:MOST_NOTE]


def calibration(models: Sequence[Model]) -> dict[str, float]:
    """Return how statements on cases and probabilities agree with the truth, as `<metric>/<label>`.

    All folds have one calibration; of several, the one from most cases is taken.
    """
    known = max((model.calibration for model in models if model.calibration), key=lambda of: of.cases, default=None)
    held = {one.label: one.held_out for one in (known.labels if known else ()) if one.held_out}
    values = {store_metric(f"statement_{name}", label): value for label, one in held.items() for name in STATEMENT
              if (value := getattr(one, name)) is not None}
    scaled = max((model.temperatures for model in models if model.temperatures), key=lambda of: of.cases, default=None)
    for label in scaled.labels if scaled else ():
        if label.temperature is not None:
            values[store_metric("temperature", label.label)] = label.temperature
        if label.before and label.after:
            values[store_metric("ece", label.label)] = label.before.ece
            values[store_metric("ece_calibrated", label.label)] = label.after.ece
    return values


def aggregate(rows: pd.DataFrame) -> dict[str, float]:
    """Return the metrics of a run as `<metric>/<label>`, if defined."""
    return TASKS[task_of(rows)].aggregate(rows)


def _experiment(store: Store, collected: Collected, dataset: str) -> str:
    if dataset not in collected.experiments:
        collected.experiments.append(dataset)
    return store.experiment(dataset)


def _times(model: Model) -> tuple[int, int]:
    """Return start and end of a training in milliseconds since 1970; the end is when its folder was written."""
    end = round(1000 * (model.folder / "provenance.json").stat().st_mtime)
    return end - round(1000 * model.provenance.wall_seconds), end
