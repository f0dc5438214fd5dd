"""Write an experiment's result: table, figure, notes and provenance."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..code import code_hash, commit
from ..contracts.experiment import Code, ComparedNetwork, Experiment, UsedSplits
from ..contracts.provenance import Provenance
from ..files import atomic, write_text
from ..text import by_column, counted
from ..text import markdown as as_is

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .inputs import Inputs

FILES = ("table.csv", "table.md", "figure.svg", "figure.png", "experiment.json")


@dataclass
class Outcome:
    """An experiment's result.

    Attributes:
        rows: Rows of `table.csv`: the same keys in every row, None for empty cells.
        markdown: Lines of `table.md`'s table, in the paper's layout.
        figure: Figure of `figure.svg` and `figure.png`.
        caption: Caption of the figure.
        notes: Notes on the table.
        settings: Settings to record in `experiment.json`.
    """

    rows: list[dict[str, Any]]
    markdown: list[str]
    figure: Figure
    caption: str
    notes: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


def published() -> dict[str, Any]:
    """Return the paper's published values (`published.json`)."""
    return json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))


def published_order(arches: list[str]) -> list[str]:
    """Sort architectures as in the paper's tables, followed by others."""
    order = ["unet", "resnet", "densenet", "hrnet"]
    return sorted(arches, key=lambda arch: (order.index(arch) if arch in order else len(order), arch))


def write_experiment(folder: Path, entry: dict[str, Any], inputs: Inputs, outcome: Outcome) -> Experiment:
    """Write `FILES` to a folder, each atomically.

    Returns:
        The content of `experiment.json`.
    """
    record = provenance(entry, inputs, outcome)
    columns = list(dict.fromkeys(name for row in outcome.rows for name in row))
    write_text(folder / "table.csv", by_column(columns, outcome.rows))
    write_text(folder / "table.md", _page(entry, inputs, outcome))
    for name in ("figure.svg", "figure.png"):
        with atomic(folder / name) as temporary:
            _save(outcome.figure, temporary, inputs.name)
    record.write(folder / "experiment.json")
    return record


def _save(figure: Figure, path: Path, name: str) -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=150, facecolor=figure.get_facecolor(), metadata=metadata)


def _page(entry: dict[str, Any], inputs: Inputs, outcome: Outcome) -> str:
    lines = [f"# {entry['title']}", "",
             f"{entry['paper']} of the paper, on {as_is(inputs.plan.dataset)}; recipe `{inputs.plan.recipe}`, "
             f"{_steps(inputs)}seed {inputs.plan.seed}.", "", *outcome.markdown]
    lines += ["", "![Figure](figure.svg)", "", as_is(outcome.caption)]
    if outcome.notes:
        lines += ["", "Notes:", "", *(f"- {as_is(note)}" for note in outcome.notes)]
    return "\n".join(lines) + "\n"


def _steps(inputs: Inputs) -> str:
    training = inputs.plan.training
    if not inputs.models:
        return ""
    steps = counted(training.steps_per_epoch, "step")
    return f"{counted(training.epochs, 'epoch')} of {steps}, batch {training.batch}, "


def provenance(entry: dict[str, Any], inputs: Inputs, outcome: Outcome) -> Experiment:
    """Return the record of the experiment: its networks, their trainings and the code."""
    groups: dict[tuple[str, str], list[Provenance]] = {}
    for model in inputs.models:
        groups.setdefault((model.provenance.arch, model.provenance.width), []).append(model.provenance)
    networks = tuple(ComparedNetwork(
        arch, width, runs[0].parameters, tuple(sorted(run.fold for run in runs)), tuple(run.run_key for run in runs),
        runs[0].total_steps) for (arch, width), runs in sorted(groups.items()))
    trained_by = tuple(sorted({run.code for runs in groups.values() for run in runs}))
    return Experiment(
        inputs.name, entry["title"], entry["paper"], inputs.plan.dataset, inputs.plan.recipe, inputs.plan.seed,
        settings=outcome.settings, networks=networks, table=tuple(json.loads(json.dumps(outcome.rows))),
        notes=tuple(outcome.notes), code=Code(trained_by, code_hash("experiment")), version=__version__,
        commit=commit(), splits=UsedSplits(inputs.splits.rule, len(inputs.splits.folds)), figure=outcome.caption)
