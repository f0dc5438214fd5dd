"""Report content about the statement with each case: coverage, and what it is worth to look at the doubtful cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..contracts.calibration import Calibration, needed
from ..tracking.records import Model
from . import figures

SECTION = "statement.html.jinja"


def sections(models: Sequence[Model], colours: dict[str, str]) -> dict[str, Any]:
    """Compute the template values; the networks of one name share a calibration."""
    known = {f"{one.arch} {one.width}": one for model in models if (one := model.calibration)}
    measured = {name: one for name, one in known.items() if any(label.held_out for label in one.labels)}
    labels = list(dict.fromkeys(label.label for one in measured.values() for label in one.labels if label.held_out))
    return {"stated": SECTION, "statements": [row for name, one in known.items() for row in _rows(name, one)],
            "flags": [_flags(name, one) for name, one in known.items()],
            "stated_coverage": sorted({one.coverage for one in known.values()}),
            "risks": [(label, figures.risk_curves(measured, label, colours)) for label in labels]}


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
