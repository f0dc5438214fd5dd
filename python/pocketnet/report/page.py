"""The report: one self-contained HTML page of what a run has left."""

from __future__ import annotations

import re

from .figures import standalone

TEMPLATE = "page.html.jinja"


def render(values: dict) -> str:
    """The page as HTML text.

    Args:
        values: What `pocketnet.report.content.context` has computed.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("pocketnet.report", "."), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["unbroken"] = unbroken
    return environment.get_template(TEMPLATE).render(values)


def unbroken(text: str) -> str:
    """Text in which no line ends between a number and its sign or unit."""
    return re.sub(r"\b(p|±) (?=[\d<])|(?<=\d) (?=%|mm\b)", lambda found: found[0].replace(" ", "\u00a0"), text)


def figure_files(values: dict) -> dict[str, str]:
    """The page's figures as SVG files of their own: name and text.

    Args:
        values: As for `render`.
    """
    named = [(f"learning-{number}", svg) for number, svg in enumerate(values["curves"], 1)]
    named += [(f"boxes-{label}-{number}", svg) for label, panels in values.get("boxes", [])
              for number, svg in enumerate(panels, 1)]
    named += [(f"roc-{label}", svg) for label, svg in values.get("curves_of_classes", [])]
    return {f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}.svg": standalone(svg) for name, svg in named}
