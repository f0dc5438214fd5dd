"""Sphinx's settings for the site of documents; `build.py` calls Sphinx with them."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

from pocketnet import __version__, backend  # noqa: E402  # the path comes first

backend.configure()

project = "PocketNet Suite"
copyright = "PocketNet Suite developers"
version = release = __version__
root_doc = "index"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx_click"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
# Code of Nextflow and of this project's presets is shown without colours.
highlight_options = {"default": {"stripall": True}}
suppress_warnings = ["misc.highlighting_failure"]
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
default_role = "code"

html_theme = "pydata_sphinx_theme"
html_title = f"PocketNet Suite {version}"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_static_path = ["static"]
html_css_files = ["site.css"]


def _as_code(_app: Sphinx, _context: object, lines: list[str]) -> None:
    """Show the examples of a command as code."""
    lines[:] = ["::", "", *("    " + line for line in lines), ""]


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("sphinx-click-process-epilog", _as_code)
