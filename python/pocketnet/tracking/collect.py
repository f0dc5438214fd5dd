"""Bring what a run has left into the MLflow store.

An experiment a dataset; in it a run for each network × width, under it a run for each fold, and one for the
comparison. Which run holds what is written in `docs/output.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import CLASSIFICATION
from ..evaluation import classification
from ..evaluation.comparison import MEAN
from ..evaluation.metrics import METRICS
from ..evaluation.table import task_of
from ..files import digest
from .records import Evaluation, Model, Run
from .store import Store

if TYPE_CHECKING:
    import pandas as pd

TAGS = ("dataset", "arch", "width", "recipe", "code", "version")
LEFT_OUT = {"last.keras"}  # as large as the model itself, and wanted by nobody in the UI


@dataclass
class Collected:
    """How many runs were made, and how many were there already."""

    new: int = 0
    known: int = 0
    experiments: list[str] = field(default_factory=list)

    def count(self, made: bool) -> None:
        """Count one run."""
        self.new, self.known = self.new + made, self.known + (not made)


def collect(run: Run, store: Store, report: Path | None = None) -> Collected:
    """Add a run's records to the store; adding them again changes nothing.

    Args:
        run: What `records.read_run` has read.
        store: Where to.
        report: `report.html`, kept with the comparison.
    """
    collected = Collected()
    by_key = {one.run_key: one for one in run.evaluations}
    groups: dict[str, list[Model]] = {}
    for model in run.models:  # the folds of one network, trained by one plan and one code
        groups.setdefault(digest([model.plan, *(model.provenance[key] for key in (*TAGS, "seed", "parameters"))]),
                          []).append(model)
    with store.alone():
        for key, models in groups.items():
            _network(store, collected, key, models, [by_key[m.provenance["run_key"]] for m in models
                                                     if m.provenance["run_key"] in by_key])
        if run.comparison and run.comparison_folder:
            _comparison(store, collected, run, report)
    return collected


def _network(store: Store, collected: Collected, key: str, models: Sequence[Model],
             evaluations: Sequence[Evaluation]) -> None:
    """The parent run of a network × width, and its folds."""
    import pandas as pd

    first = models[0].provenance
    experiment = _experiment(store, collected, first["dataset"])
    begin, end = min(_times(m)[0] for m in models), max(_times(m)[1] for m in models)
    parent, made = store.run(experiment, key, f"{first['arch']} {first['width']} {first['recipe']}",
                             "network", start=begin)
    collected.count(made)
    metrics = {"wall_seconds": sum(m.provenance["wall_seconds"] for m in models)}
    if evaluations:
        metrics |= aggregate(pd.concat([one.rows for one in evaluations]))
    store.log(parent, parameters={name: first[name] for name in ("arch", "width", "recipe", "seed", "parameters")},
              tags={name: first[name] for name in TAGS}
              | {"folds": ", ".join(str(m.provenance["fold"]) for m in models)}, metrics=metrics, end=end)
    by_key = {one.run_key: one for one in evaluations}
    for model in models:
        _fold(store, collected, experiment, parent, model, by_key.get(model.provenance["run_key"]))


def _fold(store: Store, collected: Collected, experiment: str, parent: str, model: Model,
          evaluation: Evaluation | None) -> None:
    """The run of one training."""
    provenance = model.provenance
    start, end = _times(model)
    run, made = store.run(experiment, provenance["run_key"],
                          f"{provenance['arch']} {provenance['width']} fold {provenance['fold']}", "fold",
                          start=start, parent=parent)
    collected.count(made)
    store.log_history(run, model.history, start)
    parameters = {name: provenance[name] for name in ("arch", "width", "fold", "recipe", "seed", "parameters")}
    if model.plan:
        training = model.plan["training"]
        parameters |= {name: training[name] for name in ("batch", "epochs", "steps_per_epoch", "learning_rate",
                                                         "loss", "optimizer")}
        parameters["patch"] = "×".join(map(str, training["patch"]))
    metrics = {name: provenance[name] for name in ("wall_seconds", "peak_host_memory_mib", "peak_device_memory_mib")
               if provenance[name] is not None}
    if provenance["validation_loss"] is not None:  # a pruned network has none
        metrics["best_validation_loss"] = provenance["validation_loss"]
    artifacts = {f"model/{path.name}": path for path in sorted(model.folder.iterdir())
                 if path.is_file() and path.name not in LEFT_OUT}
    if evaluation is not None:
        metrics |= aggregate(evaluation.rows)
        artifacts["metrics.csv"] = evaluation.folder / "metrics.csv"
        artifacts |= {name: evaluation.folder / name for name in ("classification.json", "roc.png")
                      if (evaluation.folder / name).is_file()}
        artifacts |= {entry["file"]: evaluation.folder / entry["file"] for entry in evaluation.overlays
                      if (evaluation.folder / entry["file"]).is_file()}
    store.log(run, parameters=parameters, metrics=metrics, end=end,
              tags={name: provenance[name] for name in (*TAGS, "fold")})
    store.log_files(run, artifacts)


def _comparison(store: Store, collected: Collected, records: Run, report: Path | None) -> None:
    """The run that holds the comparison: differences as metrics, tables and report as artifacts."""
    comparison = records.comparison
    experiment = _experiment(store, collected, comparison["dataset"])
    networks = sorted({f"{row['arch']} {row['width']}" for row in comparison["networks"]})
    key = digest([comparison["dataset"], comparison["recipe"], comparison["code"], networks,
                  sorted(model.provenance["run_key"] for model in records.models)])
    run, made = store.run(experiment, key, f"comparison of {', '.join(networks)}", "comparison")
    collected.count(made)
    metrics = {}
    for pair in comparison["pairs"]:
        values = {"difference": pair["difference"], "p_value": pair["p_value"]}
        metrics |= {f"{name}/{pair['metric']}/{pair['label']}/{pair['arch']}-{pair['width']}": value
                    for name, value in values.items() if value is not None}
    store.log(run, parameters={}, metrics=metrics,
              tags={"dataset": comparison["dataset"], "recipe": comparison["recipe"],
                    "code": ", ".join(comparison["code"])})
    files = {f"comparison/{path.name}": path for path in sorted(records.comparison_folder.iterdir())
             if path.is_file()}
    if report is not None:
        files[report.name] = report
    store.log_files(run, files)


def aggregate(rows: pd.DataFrame) -> dict[str, float]:
    """Mean over cases as `<metric>/<label>`, and as `<metric>/mean` over a case's labels; undefined ones left out.

    Of a classification: each metric as `<metric>/<class>`.
    """
    if task_of(rows) == CLASSIFICATION:
        return {f"{metric}/{name}": found["value"] for name in classification.positives(rows)
                for metric, found in classification.values(rows, name).items() if found["value"] is not None}
    metrics = list(METRICS)
    means = {label: group[metrics].mean() for label, group in rows.groupby("label", sort=False)}
    means[MEAN] = rows.groupby(["case", "fold"])[metrics].mean().mean()
    return {f"{metric}/{label}": float(values[metric]) for label, values in means.items() for metric in metrics
            if values[metric] == values[metric]}


def _experiment(store: Store, collected: Collected, dataset: str) -> str:
    if dataset not in collected.experiments:
        collected.experiments.append(dataset)
    return store.experiment(dataset)


def _times(model: Model) -> tuple[int, int]:
    """Start and end of a training in milliseconds since 1970: it ended when its folder was written."""
    end = round(1000 * (model.folder / "provenance.json").stat().st_mtime)
    return end - round(1000 * model.provenance["wall_seconds"]), end
