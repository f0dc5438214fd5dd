"""The report: one self-contained HTML page of what a run has left."""

from __future__ import annotations

from ..tracking.records import Run
from .content import context

TEMPLATE = "page.html.jinja"


def render(run: Run, command: str | None = None) -> str:
    """The page as HTML text.

    Args:
        run: What `pocketnet.tracking.records.read_run` has read; any part may be missing.
        command: The command line of the run, where it is known.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("pocketnet.report", "."), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(TEMPLATE).render(context(run, command))
