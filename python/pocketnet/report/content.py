"""Compute the content of the report from a run's records, as numbers and text without markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..contracts.comparison import Comparison
from ..contracts.decisions import MOST_DOUBT, MOST_LOSS, WORTH, Measured
from ..contracts.plan import Plan
from ..contracts.tasks import DEFAULT
from ..evaluation import matrix, verdict
from ..evaluation.comparison import is_reference
from ..evaluation.layout import interval_text, number
from ..evaluation.table import task_of
from ..evaluation.tasks import TASKS as comparisons
from ..text import counted
from ..tracking.records import Model, Run
from . import copies, figures, resources, statement
from .summary import summary
from .tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd


DECIDED, GALLERY = "decisions.html.jinja", "gallery.html.jinja"
"""Templates of what was decided after the trainings, and of the table of cases."""
WORDS = {"equivalent": "equivalent", "better": "better", "worse": "worse", "open": "open", "none": "–"}


def context(run: Run, command: str | None = None) -> dict[str, Any]:
    """Compute all values that the template shows."""
    rows = _rows(run)
    networks = _networks(run, rows)
    names = [" ".join(key) for key in networks]
    colours = figures.network_colours(names)
    comparison = run.comparison
    task = _task(run, rows)
    shown = TASKS[task]
    labels = list(dict.fromkeys(rows[shown.COLUMN])) if rows is not None else []
    verdicts = [verdict.verdict(pair, comparison)
                | {"facts": resources.facts(run, pair), "reference": pair.reference, "width": pair.width}
                for pair in verdict.headline_pairs(comparison)] if comparison else []
    said = comparison or (run.models[0].provenance if run.models else None)
    dataset = said.dataset if said else "unknown dataset"
    return {
        "dataset": dataset, "version": __version__, "command": command,
        "verdicts": verdicts, "summary": summary(comparison, verdicts) if comparison else None,
        "matrices": _matrices(rows, networks) if rows is not None else [],
        "headline": comparisons[task].comparison.HEADLINE.title, "gallery_part": GALLERY,
        "networks": names, "network_colours": {name: figures.NETWORKS.index(colour)
                                               for name, colour in colours.items()},
        "what": _what_ran(run, rows, shown.WHAT, labels), "missing": _missing(run, rows, networks),
        "notes": list(comparison.notes) if comparison else [],
        "warnings": _warnings(run) + (shown.warnings(rows) if rows is not None else []),
        "curves": figures.learning_curves(run.models, colours, shown.SCORE), "resources": resources.resources(run),
        "score": shown.SCORE[1], "training": resources.training(run.models, shown.SCORE[0]),
        "energy_found": " · ".join(dict.fromkeys(m.provenance.energy.words for m in run.models if m.provenance.energy)),
        "decided": DECIDED, "decisions": _chosen(run.comparison) + _decisions(run.models),
        **statement.sections(run.models, colours),
        "most_loss": MOST_LOSS, "most_doubt": MOST_DOUBT, "worth": WORTH,
        "provenance": _provenance(run.models), "bibtex": copies.BIBTEX,
        **shown.sections(comparison, rows, run.evaluations, networks, colours),
    }


def _matrices(rows: pd.DataFrame, networks: Sequence[tuple[str, str]]) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Return the matrices of verdicts: what the heading adds, and per network its name and cells as text."""
    found = matrix.matrices(rows, networks)
    return [(f": {label}" if len(found) > 1 else "", [(" ".join(key), [cell and {
        "kind": cell.kind, "word": WORDS[cell.kind], "difference": number(cell.difference, "dice", True),
        "interval": cell.interval and interval_text(cell.interval, "dice")} for cell in cells])
        for key, cells in zip(networks, verdicts, strict=True)]) for label, verdicts in found.items()]


def _task(run: Run, rows: pd.DataFrame | None) -> str:
    """Return the task of the run, from the first record that states it."""
    said: list[str] = [run.comparison.task] if run.comparison else []
    said += [task_of(rows)] if rows is not None else []
    said += [model.plan.task for model in run.models if model.plan]
    return next(filter(None, said), DEFAULT)


def _rows(run: Run) -> pd.DataFrame | None:
    import pandas as pd

    return pd.concat([one.rows for one in run.evaluations], ignore_index=True) if run.evaluations else None


def _networks(run: Run, rows: pd.DataFrame | None) -> list[tuple[str, str]]:
    """List (arch, width) of all networks: full first, then by decreasing number of parameters."""
    found = {(row.arch, row.width): row.parameters for row in (run.comparison.networks if run.comparison else ())}
    found |= {(m.provenance.arch, m.provenance.width): m.provenance.parameters for m in run.models}
    if rows is not None:
        found |= {key: int(group["parameters"].iloc[0]) for key, group in rows.groupby(["arch", "width"])}
    return sorted(found, key=lambda key: (key[0], not is_reference(key[1]), -found[key], key[1]))


def _what_ran(run: Run, rows: pd.DataFrame | None, kind: str, labels: Sequence[str]) -> list[tuple[str, str]]:
    """Return the rows of the section "What ran", each a name and a value; `kind` names the labels."""
    def several(key: str) -> str:
        return ", ".join(dict.fromkeys(str(getattr(model.provenance, key)) for model in run.models))

    what = []
    if rows is not None:
        what.append(("Cases", f"{rows['case'].nunique()} tested, {kind}: {', '.join(labels)}"))
    if run.models:
        what += [("Recipe", several("recipe")), ("Seed", several("seed")),
                 ("Folds", _folds(sorted({m.provenance.fold for m in run.models})))]
        what += [("Started from", line) for line in dict.fromkeys(map(_origin, run.models)) if line]
        members = {tuple(member.seed for member in model.members) for model in run.models if model.members}
        what += [("Networks per fold", f"{len(seeds)}, averaged (seeds {', '.join(map(str, seeds))})")
                 for seeds in sorted(members)]
    plans = [model.plan for model in run.models if model.plan]
    if plans:
        of_configuration = {plan.configuration.name if plan.configuration else "": plan for plan in plans}
        what += [("Modalities", ", ".join(plans[0].modalities)),
                 *[("Configuration", line) for line in _configurations(plans)]]
        for name, plan in sorted(of_configuration.items()):
            ending = f" in {name.upper()}" if len(of_configuration) > 1 else ""
            what += [(f"Network{ending}", _network(plan)), (f"Training{ending}", _training(plan))]
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


def _network(plan: Plan) -> str:
    network = plan.network
    return (f"{network.convolved_dimensions}D, {network.depth} downsamplings, "
            f"{network.feature_maps} first feature maps, {network.norm.replace('none', 'no')} norm")


def _training(plan: Plan) -> str:
    training = plan.training
    return (f"{counted(training.epochs, 'epoch')} of {counted(training.steps_per_epoch, 'step')}, "
            f"batch {training.batch}, patch {'×'.join(map(str, training.patch))}, {training.optimizer} "
            f"{training.learning_rate:g}, loss {training.loss}")


def _configurations(plans: Sequence[Plan]) -> list[str]:
    """Return the configurations of the networks and why, on one line per reason."""
    names: dict[str, list[str]] = {}
    for configuration in {plan.configuration.name: plan.configuration for plan in plans if plan.configuration}.values():
        names.setdefault(configuration.reason, []).append(configuration.name.upper())
    return [f"{' and '.join(sorted(found))}: {reason}" for reason, found in names.items()]


def _origin(model: Model) -> str:
    """Return what a network started from; empty for random weights."""
    start = model.provenance.start
    if start is None:
        return ""
    said = [f"{start.model or start.run_key} ({start.width}"
            + (f", {start.dataset}" if start.dataset else "") + f", {counted(start.steps, 'step')}"
            + (f", checksum {start.sha256[:12]}" if start.sha256 else "") + ")"]
    if start.taken is not None:
        said.append(f"{counted(start.taken, 'layer')} taken{' and frozen' if start.frozen else ''}")
    if start.left:
        said.append(f"new: {', '.join(start.left)}")
    return f"{model.provenance.arch} {model.provenance.width}, fold {model.provenance.fold}: {'; '.join(said)}"


def _folds(numbers: Sequence[int]) -> str:
    """Format the number of folds and which ones they are."""
    return f"{len(numbers)}: {'number' if len(numbers) == 1 else 'numbers'} {', '.join(map(str, numbers))}"


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
    elif networks and not any(map(is_reference, widths)):
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
                         f"{counted(model.provenance.steps, 'step')} in total.")
    return lines


def _decisions(models: Sequence[Model]) -> list[dict[str, Any]]:
    """Return one row per network, fold and decision: windows, mirroring, each label's postprocessing; and why."""
    rows = []
    for model in models:
        found = model.provenance.decisions
        if found is None:
            continue
        own: list[tuple[str, str, str, str]] = []
        own += [("Windows", one.chosen, one.reason, _ways(one.tried)) for one in [found.windows] if one]
        own += [("Mirroring", "yes" if one.chosen else "no", one.reason, _ways(one.tried))
                for one in [found.mirroring] if one]
        own += [(f"Postprocessing of {one.label}", one.operations.words, one.reason, "; ".join(
            f"{each.operation}: reference −{each.harm:g}"
            + ("" if each.dice is None else f", validation {each.dice:g}") for each in one.tried))
            for one in found.postprocessing]
        rows += [{"network": f"{model.provenance.arch} {model.provenance.width}", "fold": model.provenance.fold,
                  "what": what, "chosen": chosen, "reason": reason, "tried": tried}
                 for what, chosen, reason, tried in own]
    return rows


def _chosen(comparison: Comparison | None) -> list[dict[str, Any]]:
    """Return a row per network that was trained in 2D and in 3D."""
    return [{"network": f"{one.arch} {one.width}", "fold": "all", "what": "Configuration", "chosen": one.chosen.upper(),
             "reason": one.reason,
             "tried": "; ".join(f"{each.name.upper()}: validation {each.dice:.4f}" for each in one.results)}
            for one in (comparison.configurations if comparison else None) or ()]


def _ways(tried: Sequence[Measured]) -> str:
    """Return the ways to use a network that were tried, with their figures."""
    return "; ".join(f"{one.way}: cost {one.cost:g}" + (
        "" if one.dice is None else f", validation {one.dice:g}, worst case {one.worst:+g}, limit {one.limit:+g}")
        for one in tried)


def _provenance(models: Sequence[Model]) -> list[dict[str, Any]]:
    return [{"network": f"{m.provenance.arch} {m.provenance.width}", "fold": m.provenance.fold,
             "run_key": m.provenance.run_key, "code": m.provenance.code,
             "commit": (m.provenance.commit or "–")[:12], "seed": m.provenance.seed,
             "version": m.provenance.version} for m in models]
