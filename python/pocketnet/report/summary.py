"""The report in a few lines of plain text, to paste into a mail."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from .. import __version__
from ..contracts.comparison import Comparison
from ..evaluation.layout import interval_text, number
from ..evaluation.tasks import TASKS
from ..text import counted

LINE = 76  # characters


def summary(comparison: Comparison, verdicts: Sequence[dict[str, Any]]) -> str:
    """Return the verdicts, what the networks cost, and each network's accuracy.

    Args:
        comparison: The comparison.
        verdicts: The results of `evaluation.verdict.verdict`, with `facts`, `reference` and `width`.
    """
    headline = TASKS[comparison.task].comparison.HEADLINE
    rows = [row for row in comparison.networks if headline.per_class or row.label == comparison.networks[-1].label]
    cases = max((row.cases for row in rows), default=0)
    folds = sorted({fold for row in rows for fold in row.folds})
    parts = [f"{comparison.dataset}: {counted(cases, 'test case')}, {counted(len(folds), 'fold')}, "
             f"recipe {comparison.recipe}"]
    for verdict in verdicts:
        lines = [*_wrapped(f"{verdict['title']}."), *_wrapped(verdict["text"])]
        lines += [f"- {fact['name']}: {verdict['width']} {fact['other']}, {verdict['reference']} {fact['reference']} "
                  f"({fact['ratio']})" for fact in verdict["facts"] if fact["other"] != "–"]
        parts.append("\n".join(lines))
    table = [(f"{row.arch} {row.width}" + (f", {row.label}" if headline.per_class else ""),
              number(row.metrics[headline.metric].mean, "dice"),
              interval_text(row.metrics[headline.metric].interval, "dice", signed=False)) for row in rows]
    width = max((len(name) for name, _, _ in table), default=0)
    parts.append("\n".join([f"{headline.title}, mean and 95 % interval:" if not headline.per_class
                            else f"{headline.title} and 95 % interval:",
                            *(f"  {name:{width}}  {mean}  {interval}" for name, mean, interval in table)]))
    notes = [line for note in comparison.notes for line in _wrapped(f"Note: {note}")]
    parts += ["\n".join(notes)] if notes else []
    parts.append(f"PocketNet Suite {__version__}; report.html has tables, figures and pictures. For research only.")
    return "\n\n".join(parts)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False)
