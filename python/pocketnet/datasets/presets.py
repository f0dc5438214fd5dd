"""Dataset presets: what lies in a dataset's folder and how it is prepared by default.

The presets are data, `presets.json`. A person's own dataset needs no code either: a JSON file with one such
entry is given to `--dataset` by its path.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from ..errors import UsageError

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Preset:
    """One dataset.

    Attributes:
        name: The key in `presets.json`, or the stem of a person's own preset file.
        title: For people.
        layout: The folder's layout, a key of `layouts.LAYOUTS`, or any name with `files`.
        files: Of a layout that is described by its files' names, their templates (`templates.py`): `images` by
            modality, `label`, `case`, `ignored`.
        modalities: All modalities that the dataset has, in order; None: those that the folder says.
        label_sets: Set name → class name → the values in the label files; None: those that the folder says.
        default_labels: The label set when none is asked for; None with `label_sets` None.
        preprocessing: The plan's defaults: `crop`, `normalisation`, `spacing_mm`.
        source: `where` it comes from and its `licence`.
        aliases: Other spelling of a modality in file names → its name.
        label_grid: `own`: a label map's header must say its image's grid; `image`: it does not count.
        extras: Endings of files that may lie beside a case's images without being used.
        task: `segmentation`, or `classification` of whole 2D images.
        classes: A classification's classes in order, the one to be found last; None: those that the folder's table
            has, sorted.
        caution: What every result on this dataset must say; empty for nothing.
    """

    name: str
    title: str
    layout: str
    modalities: tuple[str, ...] | None
    label_sets: MappingProxyType[str, MappingProxyType[str, tuple[int, ...]]] | None
    default_labels: str | None
    preprocessing: MappingProxyType[str, Any]
    source: MappingProxyType[str, str]
    aliases: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    extras: tuple[str, ...] = ()
    files: MappingProxyType[str, Any] | None = None
    label_grid: Literal["own", "image"] = "own"
    task: Literal["segmentation", "classification"] = "segmentation"
    classes: tuple[str, ...] | None = None
    caution: str = ""


def names() -> list[str]:
    """The presets that are shipped."""
    return list(_shipped())


def load(name: str | Path) -> Preset:
    """The preset of a name, or of the path of a JSON file with one entry as in `presets.json`.

    Raises:
        UsageError: No preset has this name (the known ones and the nearest are said), or the file is not
            there or not a preset.
    """
    name = str(name)
    if name in _shipped():
        return _build(name, _shipped()[name])
    if name.endswith(".json") or "/" in name:
        return _own(Path(name))
    raise unknown("dataset", name, names(), option="--dataset",
                  todo="A dataset of your own: write a preset file and give its path.")


def unknown(what: str, name: str, known: Iterable[str], *, option: str, todo: str = "") -> UsageError:
    """The error for a name that is not known, with the nearest and all known names."""
    known = list(known)
    near = difflib.get_close_matches(name.lower(), {word.lower(): word for word in known}, n=1, cutoff=0.5)
    nearest = next((word for word in known if near and word.lower() == near[0]), None)
    hint = f"Did you mean {nearest}? " if nearest else ""
    return UsageError(f"There is no {what} {name!r}.", where=option,
                      todo=f"{hint}Known: {', '.join(known)}. {todo}".strip())


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    return json.loads((HERE / "presets.json").read_text(encoding="utf-8"))


def _own(path: Path) -> Preset:
    import jsonschema

    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("There is no such preset file.", where=str(path),
                         todo=f"Known presets: {', '.join(names())}.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"This preset file cannot be read as JSON: {error}", where=str(path)) from None
    schema = json.loads((HERE / "preset.schema.json").read_text(encoding="utf-8"))
    errors = jsonschema.Draft202012Validator(schema).iter_errors(value)
    faults = [f"{error.json_path}: {error.message[:200]}" for error in errors]
    if not faults:
        preset = _build(path.stem, value)
        if preset.label_sets is not None and preset.default_labels not in preset.label_sets:
            faults = [f"$.default_labels: {preset.default_labels!r} is not one of its label_sets"]
    if faults:
        raise UsageError("This is not a preset: " + "; ".join(faults), where=str(path),
                         todo=f"Write it like an entry of {HERE / 'presets.json'}.")
    return preset


def _build(name: str, value: dict[str, Any]) -> Preset:
    sets = value["label_sets"]
    if sets is not None:
        sets = MappingProxyType({
            set_name: MappingProxyType({label: tuple(values) for label, values in classes.items()})
            for set_name, classes in sets.items()})
    return Preset(
        name=name, title=value["title"], layout=value["layout"],
        modalities=None if value["modalities"] is None else tuple(value["modalities"]),
        label_sets=sets, default_labels=value["default_labels"],
        preprocessing=MappingProxyType(dict(value["preprocessing"])),
        source=MappingProxyType(dict(value["source"])),
        aliases=MappingProxyType(dict(value.get("aliases", {}))), extras=tuple(value.get("extras", ())),
        files=MappingProxyType(value["files"]) if "files" in value else None,
        label_grid=value.get("label_grid", "own"),
        task=value.get("task", "segmentation"), classes=tuple(value["classes"]) if value.get("classes") else None,
        caution=value.get("caution", ""))
