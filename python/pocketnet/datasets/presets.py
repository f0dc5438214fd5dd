"""Dataset presets: the layout of a dataset's folder and its default preprocessing.

The shipped presets are in `presets.json`. For other datasets, `--dataset` also takes the path of a JSON file with one
such entry.
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

from ..contracts.labels import SegmentCode
from ..contracts.tasks import DEFAULT, Task
from ..errors import UsageError
from ..files import content
from ..text import parse_json

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Preset:
    """One dataset.

    Attributes:
        name: Key in `presets.json`, or the stem of a user's preset file.
        title: Display name.
        layout: Layout of the folder: a key of `layouts.LAYOUTS`, or any name together with `files`.
        files: File name templates (`templates.py`) for a layout that is defined by them: `images` by modality, `label`,
            `case`, `ignored`.
        modalities: All modalities of the dataset, in order; None: taken from the folder.
        label_sets: Values in the label files by set name and class name; None: taken from the folder.
        default_labels: Name of the default label set; None if `label_sets` is None.
        preprocessing: Defaults for the plan: `crop`, `normalisation`, `spacing_mm`.
        source: Origin of the data (`where`) and `licence`.
        aliases: Modality by its alternative spelling in file names.
        label_grid: `own`: the grid of a label map must be that of its image; `image`: the label map's affine is
            ignored.
        extras: Endings of files that may be in a case's folder but are not used.
        task: `segmentation`, or `classification` of whole 2D images.
        classes: Classes of a classification in order, the positive class last; None: the classes in the folder's table,
            sorted.
        caution: Text that every result on this dataset must show; empty for none.
        label_codes: Standard codes of classes by name, for DICOM segmentations.
        group, stratify: What the splits keep together and what they are stratified by, as in `groups.assign`.
        bids: `suffix` of the images and `labels_from`, the folder of the label maps, in a BIDS dataset.
        region_orders: For the label sets whose classes overlap, a value per class in the order of writing; see
            `labels.Classes.of`.
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
    task: Task = DEFAULT
    classes: tuple[str, ...] | None = None
    caution: str = ""
    label_codes: MappingProxyType[str, SegmentCode] = field(default_factory=lambda: MappingProxyType({}))
    group: str | None = None
    stratify: str | None = None
    bids: MappingProxyType[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    region_orders: MappingProxyType[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))


def names() -> list[str]:
    """Return the names of the shipped presets."""
    return list(_shipped())


def load(name: str | Path) -> Preset:
    """Load a shipped preset by name, or a preset file by its path.

    Raises:
        UsageError: The name is unknown (the message lists the known names and the closest one), or the file is missing
            or not a valid preset.
    """
    name = str(name)
    if name in _shipped():
        return _build(name, _shipped()[name])
    if name.endswith(".json") or "/" in name:
        return _own(Path(name))
    raise unknown("dataset", name, names(), option="--dataset",
                  todo="A dataset of your own: write a preset file and give its path.")


def unknown(what: str, name: str, known: Iterable[str], *, option: str, todo: str = "") -> UsageError:
    """Return the error for an unknown name, with the closest and all known names.

    Args:
        what: Kind of name, for example `modality`.
        name: The unknown name.
        known: The known names.
        option: The command-line option or place that the name comes from.
        todo: Further advice.
    """
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
        value = parse_json(content(path))
    except FileNotFoundError:
        raise UsageError("There is no such preset file.", where=str(path),
                         todo=f"Known presets: {', '.join(names())}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"This preset file cannot be read as JSON: {reason}", where=str(path)) from None
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
        task=value.get("task", DEFAULT), classes=tuple(value["classes"]) if value.get("classes") else None,
        caution=value.get("caution", ""), group=value.get("group"), stratify=value.get("stratify"),
        bids=MappingProxyType(dict(value.get("bids", {}))),
        label_codes=MappingProxyType({label: SegmentCode.from_json(code, what="label code")
                                      for label, code in value.get("label_codes", {}).items()}),
        region_orders=MappingProxyType({name: tuple(order) for name, order in value.get("region_orders", {}).items()}))
