"""`make docs`: build the site of documents from docs/, the parameters' schema, the commands and the docstrings.

    python docs/site/build.py OUTPUT

The pages of docs/ are copied to OUTPUT/source, beside generated ones: the index by kind of page, the pipeline's
parameters, the commands, the Python API. Sphinx then writes OUTPUT/html, which opens from disk and loads nothing from
the network. A warning, such as a link that leads nowhere, ends the build with exit code 1.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from sphinx.cmd.build import build_main

SITE = Path(__file__).resolve().parent
ROOT = SITE.parents[1]
DOCS = ROOT / "docs"
SECTIONS = {
    "Start": ["tutorial", "installing", "coming-from"],
    "How to": ["datasets", "adding-a-dataset", "dicom", "browser", "slurm", "containers", "integrations", "releasing",
               "scale", "profiling", "experiments", "adding-a-network", "adding-a-task", "checklists"],
    "Reference": ["usage", "parameters", "commands", "output", "contracts", "api"],
    "Explanation": ["architectures", "paper", "security", "results", "contributing"],
}
"""The pages by kind (https://diataxis.fr), in their order."""
MODULES = ["pocketnet.inference.predictor", "pocketnet.inference.dicom_seg", "pocketnet.models.build",
           "pocketnet.models.network", "pocketnet.models.counts", "pocketnet.planning.plan", "pocketnet.training.run",
           "pocketnet.training.verified", "pocketnet.training.losses", "pocketnet.evaluation.metrics",
           "pocketnet.evaluation.lesions", "pocketnet.evaluation.calibration", "pocketnet.preprocessing.geometry",
           "pocketnet.contracts.plan", "pocketnet.contracts.manifest", "pocketnet.contracts.provenance"]
"""Modules that other programs use."""


def copy_pages(source: Path) -> None:
    """Copy the pages and their pictures; the folders of results with their data stay out."""
    for path in [*DOCS.glob("*.md"), *DOCS.glob("results/*.md"), *DOCS.glob("pictures/*"),
                 *DOCS.glob("results/**/*.png"), *DOCS.glob("results/**/*.svg")]:
        if path.name != "README.md":
            target = source / path.relative_to(DOCS)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for page in source.rglob("*.md"):
        link = partial(_link, page=page, source=source)
        text = re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#:]+)(#[^)]*)?\)", link, page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")


def _link(match: re.Match[str], page: Path, source: Path) -> str:
    """Return a link as it is if the site has its target, else its text and the path in the clone."""
    text, target = match[1], match[2]
    if (page.parent / target).exists():
        return match[0]
    original = (DOCS / page.relative_to(source)).parent / target
    path = original.resolve().relative_to(ROOT).as_posix()
    return f"`{path}`" if text.strip("`") in (target, path) else f"{text} (`{path}`)"


def toctree(pages: Iterable[str], depth: int = 1) -> str:
    """Return a table of contents."""
    return f"```{{toctree}}\n:maxdepth: {depth}\n\n" + "\n".join(pages) + "\n```\n"


def section(caption: str) -> str:
    """Return the page of a kind of pages."""
    return f"# {caption}\n\n{toctree(SECTIONS[caption])}"


def file_of(caption: str) -> str:
    """Return the file name of a kind of pages, without suffix."""
    return f"section-{caption.lower().replace(' ', '-')}"


def index() -> str:
    """Return the first page: README's beginning, and the pages by kind."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin = readme.split("\n## ")[0]
    begin = re.sub(r"\[([^\]]+)\]\(docs/([\w-]+\.md)(#[^)]*)?\)", r"[\1](\2\3)", begin)
    begin = "\n".join(line for line in begin.splitlines() if "#how-it-compares" not in line)
    return begin + "\n\n" + toctree(map(file_of, SECTIONS), depth=2)


def parameters() -> str:
    """Return the page of the pipeline's parameters, from their schema."""
    schema = json.loads((ROOT / "nextflow_schema.json").read_text(encoding="utf-8"))
    lines = ["# Parameters of the pipeline", "",
             "`bin/nextflow run main.nf --help` lists the same. They may also stand in a `-params-file`.", ""]
    for group in schema["$defs"].values():
        lines += [f"## {group['title']}", "", "| parameter | value | default | meaning |", "|---|---|---|---|"]
        for name, one in group["properties"].items():
            default = json.dumps(one["default"]).strip('"') if "default" in one else ""
            lines.append(f"| `--{name}` | {_value(one)} | {f'`{default}`' if default else ''} | "
                         f"{html.escape(one.get('description', ''), quote=False).replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)


def _value(one: dict[str, object]) -> str:
    """Return the kind of value of a parameter."""
    if "enum" in one:
        return ", ".join(f"`{value}`" for value in one["enum"])  # type: ignore[attr-defined]
    kinds = {"array": "list", "integer": "whole number", "boolean": "true, false", "string": "text"}
    return kinds.get(str(one["type"]), str(one["type"]))


def commands() -> str:
    """Return the page of the commands, whose options Sphinx reads from their code."""
    names = sorted(path.name.removeprefix("pocket-") for path in (ROOT / "bin").glob("pocket-*"))
    lines = ["# Commands", "", "Every command has `--help` with examples, `--quiet` and `--json`.", ""]
    for name in names:
        lines += ["```{eval-rst}", f".. click:: pocketnet.cli.{name}:main", f"   :prog: pocket-{name}",
                  "   :nested: full", "```", ""]
    return "\n".join(lines)


def api() -> str:
    """Return the page of the Python API."""
    return "\n".join(["# Python API", "", "These modules are made for other programs.",
                      "`from pocketnet import Predictor` is the shortest way to segment an image.", "",
                      "```{eval-rst}", ".. autosummary::",
                      "   :toctree: api", "", *(f"   {name}" for name in MODULES), "```", ""])


def results(source: Path) -> str:
    """Return the page that lists the pages of results."""
    pages = sorted(f"results/{path.stem}" for path in (source / "results").glob("*.md"))
    return "# Results\n\nEvery figure names the command that measures it.\n\n" + toctree(pages)


def loaded_from_elsewhere(folder: Path) -> Iterator[str]:
    """Yield a line for each file that a page would load from the network."""
    for page in folder.rglob("*.html"):
        for tag in re.findall(r"<(?:script|img|iframe|link)\b[^>]*>", page.read_text(encoding="utf-8")):
            if re.search(r"""(?:src|href)=["'](?:https?:)?//""", tag) and "canonical" not in tag:
                yield f"{page.relative_to(folder)} loads from the network: {tag}"


def main(output: Path) -> int:
    """Build the site; return the exit code."""
    source = output / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    copy_pages(source)
    pages = {file_of(caption): section(caption) for caption in SECTIONS} | {
        "index": index(), "parameters": parameters(), "commands": commands(), "api": api(), "results": results(source)}
    for name, text in pages.items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    status = build_main(["-W", "--keep-going", "-q", "-b", "html", "-c", str(SITE), "-d", str(output / "doctrees"),
                         str(source), str(output / "html")])
    for line in loaded_from_elsewhere(output / "html"):
        print(line, file=sys.stderr)
        status = 1
    if not status:
        print(f"Written: {output / 'html/index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
