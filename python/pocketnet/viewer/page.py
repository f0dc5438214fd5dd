"""Assemble the page: one HTML file with its scripts, libraries, networks and a policy that forbids every request."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Sequence
from typing import Any

from .. import __version__
from . import packages

IMPORT = re.compile(r"^import \{[^}]*\} from \"\./([\w.]+)\";\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)


def module(name: str) -> str:
    """Return a script and all scripts that it imports as one module.

    Each script comes after those that it imports. The names of all of them share one scope; a name that two of them
    define is an error when the browser reads the page.
    """
    parts: dict[str, str] = {}

    def add(file: str) -> None:
        source = (packages.HERE / file).read_text(encoding="utf-8")
        for needed in IMPORT.findall(source):
            if needed not in parts:
                add(needed)
        parts.setdefault(file, EXPORT.sub("", IMPORT.sub("", source)))

    add(name)
    return "\n".join(parts.values())


def page(model: dict[str, Any], networks: Sequence[bytes], words: dict[str, str]) -> str:
    """Return the page.

    Args:
        model: What the scripts need to know of the model (`inference.html.description`).
        networks: An ONNX file for each network.
        words: `title`, `subtitle`, `invitation` and `expected`, as text; and `about`, as HTML.
    """
    scripts = [packages.content("niivue.js").decode().replace("</script", "<\\/script"),
               module("page.js")]
    kinds = ["", ' type="module"']
    data = [("worker", module("worker.js").encode()), ("runtime", packages.content("ort.mjs")),
            ("wasm", packages.content("ort.wasm")),
            ("converter", packages.content("dcm2niix.mjs")), ("converterwasm", packages.content("dcm2niix.wasm")),
            *((f"network{number}", network) for number, network in enumerate(networks))]
    blocks = [f'<script type="application/json" id="model">{_json(model)}</script>']
    blocks += [f'<script type="text/plain" id="{name}">{_packed(content)}</script>' for name, content in data]
    values = {name: text if name == "about" else html.escape(text, quote=False) for name, text in words.items()}
    values |= {
        "version": html.escape(__version__), "policy": policy(scripts), "licences": _licences(),
        "style": (packages.HERE / "page.css").read_text(encoding="utf-8"), "data": "\n".join(blocks),
        "scripts": "\n".join(f"<script{kind}>{script}</script>" for kind, script in zip(kinds, scripts, strict=True))}
    template = (packages.HERE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)


def policy(scripts: Sequence[str]) -> str:
    """Return a content security policy: only these scripts run, and nothing is requested from anywhere.

    The worker and its runtime are scripts of the page itself (`blob:`), and WebAssembly may be compiled.
    """
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts)
    return (f"default-src 'none'; script-src {hashes} blob: 'wasm-unsafe-eval'; worker-src blob:; "
            "style-src 'unsafe-inline'; img-src data: blob:; form-action 'none'; base-uri 'none'")


def _json(value: Any) -> str:
    """Return JSON that is safe inside a script element."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _licences() -> str:
    return "\n".join(f"<li>{html.escape(one.name)} {html.escape(one.version)}, © {html.escape(one.copyright)}, licence "
                     f"{html.escape(one.licence)}, {html.escape(one.home)}</li>" for one in packages.locked())
