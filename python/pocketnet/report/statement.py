"""Report content about the statement with each case and the calibrated probabilities.

Coverage, what it is worth to look at the doubtful cases, and the reliability diagram.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from ..contracts.calibration import Calibration, needed
from ..contracts.temperatures import Temperatures
from ..tracking.records import Model
from . import figures

SECTION = "statement.html.jinja"
K = TypeVar("K", Calibration, Temperatures)


def sections(models: Sequence[Model], colours: dict[str, str]) -> dict[str, Any]:
    """Compute the template values; the networks of one name that predict in one way share a calibration."""
    known = _named([(one, one.calibration) for one in models if one.calibration])
    scaled = _named([(one, one.temperatures) for one in models if one.temperatures])
    measured = {name: one for name, one in known.items() if any(label.held_out for label in one.labels)}
    labels = list(dict.fromkeys(label.label for one in measured.values() for label in one.labels if label.held_out))
    shown = list(dict.fromkeys(label.label for one in scaled.values() for label in one.labels if label.after))
    return {"stated": SECTION, "statements": [row for name, one in known.items() for row in _rows(name, one)],
            "flags": [_flags(name, one) for name, one in known.items()],
            "stated_coverage": sorted({one.coverage for one in known.values()}),
            "risks": [(label, figures.risk_curves(measured, label, colours)) for label in labels],
            "temperatures": [{"network": name, "of": label}
                             for name, one in scaled.items() for label in one.labels],
            "reliabilities": [(label, figures.reliability_diagram(scaled, label, colours)) for label in shown]}


def _named(found: Sequence[tuple[Model, K]]) -> dict[str, K]:
    """Return what networks share by their name; with the folds, if the folds of a network have not all the same."""
    by_name: dict[str, dict[tuple[str, ...], tuple[K, list[int]]]] = {}
    for model, one in found:
        name = f"{model.provenance.arch} {model.provenance.width}"
        by_name.setdefault(name, {}).setdefault(one.run_keys, (one, []))[1].append(model.provenance.fold)
    return {name if len(several) == 1 else f"{name}, folds {', '.join(map(str, sorted(folds)))}": one
            for name, several in by_name.items() for one, folds in several.values()}


def _rows(name: str, known: Calibration) -> list[dict[str, Any]]:
    """Return a row per label: what it says of cases that its calibration left out."""
    return [{"network": name, "label": one.label, "cases": one.cases, "needed": needed(known.coverage),
             "held": one.held_out} for one in known.labels]


def _flags(name: str, known: Calibration) -> str:
    """Return how many cases have each flag, in words."""
    if known.flags is None:
        return f"{name}: no bounds, so every case is flagged to look."
    flags = known.flags
    return (f"{name}: {flags.accept} cases accept, {flags.look} look, {flags.reject} reject, if a lower bound below "
            f"{known.accept:g} is a reason to look and an expected Dice below {known.reject:g} one to reject.")
