"""All kinds of file and their JSON Schemas."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from .activations import Activations
from .base import Contract, Record, adapter
from .baseline import Baseline
from .batches import Batches
from .calibration import Calibration
from .case import StoredCase
from .checksums import Checksums
from .classification import Classification
from .comparison import Comparison
from .deployment import Deployment
from .device import DeviceFile
from .experiment import Experiment
from .fingerprint import Fingerprint
from .labels import ModelLabels
from .manifest import Manifest
from .overlays import Overlays
from .plan import Plan
from .profile import Profile
from .provenance import Provenance
from .reading import CaseList, CheckedCases
from .splits import Splits
from .temperatures import Temperatures

KINDS: dict[str, type[Record]] = {"device": DeviceFile} | {contract.kind: contract for contract in (
    Activations, Baseline, Batches, Calibration, StoredCase, CaseList, CheckedCases, Checksums, Classification,
    Comparison, Deployment, Experiment, Fingerprint, ModelLabels, Manifest, Overlays, Plan, Profile, Provenance,
    Splits, Temperatures)}
"""Contract by name; its JSON Schema is `schemas/<name>.schema.json`."""
SCHEMAS = Path(__file__).parents[1] / "schemas"


class _Schema(GenerateJsonSchema):
    """Generate JSON Schemas without property titles."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind of file."""
    contract = KINDS[name]
    found = adapter(contract).json_schema(by_alias=True, schema_generator=_Schema)
    for base in contract.__mro__[1:]:
        if issubclass(base, Record) and base not in (Record, Contract):
            _describe(found, inspect.getdoc(base) or "")
    for described in (found, *found.get("$defs", {}).values()):
        described["description"] = _describe(described, described.get("description", ""))
    header: dict[str, Any] = {}
    if issubclass(contract, Contract):
        header = {"kind": {"const": contract.kind}, "schema_version": {"const": contract.schema_version}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": name,
            "required": [*header, *found["required"]], "properties": header | found["properties"]}


def _describe(schema: dict[str, Any], docstring: str) -> str:
    """Set each property's description from the docstring's `Attributes`, in place; return the text before them."""
    text, _, attributes = docstring.partition("\n\nAttributes:\n")
    for names, line in re.findall(r"^ {4}(\w[\w, ]*): (.+(?:\n {8}.+)*)", attributes, flags=re.MULTILINE):
        for name in names.split(", "):
            key = {"class_name": "class", "processor": "kind"}.get(name, name)
            if key in schema["properties"]:
                schema["properties"][key]["description"] = " ".join(line.split())
    return text


def text(name: str) -> str:
    """Return the content of a kind's schema file."""
    return json.dumps(json_schema(name), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_schemas(folder: Path = SCHEMAS) -> None:
    """Write all schemas and delete those of unknown kinds."""
    for path in folder.glob("*.schema.json"):
        if path.name.removesuffix(".schema.json") not in KINDS:
            path.unlink()
    for name in KINDS:
        (folder / f"{name}.schema.json").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    write_schemas()
