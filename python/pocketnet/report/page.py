"""Render the report: one self-contained HTML page about a run."""

from __future__ import annotations

import re
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from .figures import standalone

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "page.html.jinja"
STYLE, SCRIPT = "style.css.jinja", "script.js.jinja"


def render(values: dict[str, Any]) -> str:
    """Render the page as HTML.

    Args:
        values: The result of `pocketnet.report.content.context`.
    """
    return _template().render(values)


@cache
def _template() -> Template:
    """Compile the page's template, once in a process."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("pocketnet.report", "."), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["unbroken"] = unbroken
    environment.globals |= {"style": STYLE, "script": SCRIPT}
    return environment.get_template(TEMPLATE)


def unbroken(text: str) -> str:
    """Insert non-breaking spaces between numbers and their signs or units."""
    return re.sub(r"\b(p|±) (?=[\d<])|(?<=\d) (?=%|mm\b)", lambda found: found[0].replace(" ", "\u00a0"), text)


def figure_files(values: dict[str, Any]) -> dict[str, str]:
    """Return the page's figures as separate SVG files, by file name.

    Args:
        values: As for `render`.
    """
    named = [(f"learning-{number}", svg) for number, svg in enumerate(values["curves"], 1)]
    named += [(f"boxes-{label}-{number}", svg) for label, panels in values.get("boxes", [])
              for number, svg in enumerate(panels, 1)]
    for name, several in (("risk", "risks"), ("reliability", "reliabilities")):
        named += [(f"{name}-{label}", svg) for label, svg in values.get(several, [])]
    named += [(f"roc-{label}", svg) for label, svg in values.get("curves_of_classes", [])]
    files: dict[str, str] = {}
    for name, svg in named:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80]
        number = next(n for n in count(1) if (f"{plain}-{n}" if n > 1 else plain) + ".svg" not in files)
        files[(f"{plain}-{number}" if number > 1 else plain) + ".svg"] = standalone(svg)
    return files
