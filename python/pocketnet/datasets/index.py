"""Read `dataset.json` in the formats of the Medical Segmentation Decathlon and nnU-Net.

The decathlon and nnU-Net 1 list the cases under `training`, with `modality` and `labels` by number. nnU-Net 2 has
`channel_names`, `labels` by name and `file_ending`; its cases are the files of `imagesTr/` and `labelsTr/`.

Source: http://medicaldecathlon.com; nnU-Net, documentation/dataset_format.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contracts.labels import IGNORE
from ..contracts.regions import Values
from ..files import content
from ..preprocessing.formats import IMAGES as KNOWN
from ..preprocessing.formats import PICTURES, TAKEN
from ..text import parse_json
from .folder import visible
from .labels import Classes

INDEX = "dataset.json"
ORDER = "regions_class_order"
IMAGES, LABELS = FOLDERS = ("imagesTr", "labelsTr")


@dataclass(frozen=True)
class Index:
    """Content of a `dataset.json`.

    Attributes:
        modalities: Modalities in channel order.
        classes: Values in the label maps by class name.
        training: Entries with `image` and `label`, paths relative to the folder.
        count: `numTraining`, if present and a number; otherwise None.
    """

    modalities: tuple[str, ...]
    classes: Classes
    training: list[Any]
    count: int | None


def read(folder: Path) -> Index:
    """Read a folder's `dataset.json`.

    Raises:
        ValueError: The file is missing, not JSON, incomplete, or uses an unsupported feature.
        OSError: The file cannot be read.
    """
    path = folder / INDEX
    if not path.is_file():
        raise ValueError(f"missing: the decathlon layout has a {INDEX} with cases, modalities and labels")
    try:
        value = parse_json(content(path))
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError("not an object with cases, modalities and labels")
    count = value.get("numTraining")
    count = count if isinstance(count, int) else None
    if "channel_names" in value:
        channels, labels = _parts(value, {"channel_names": _modalities, "labels": _named_values}, "nnU-Net")
        ending = _ending(value)
        classes = _classes(labels, value.get(ORDER))
        return Index(channels, classes, _entries(folder, ending), count)
    modalities, classes, training = _parts(
        value, {"modality": _modalities, "labels": _numbered, "training": _list}, "the Medical Segmentation Decathlon")
    return Index(modalities, Classes.of(classes), training, count)


def _parts(value: dict[str, Any], readers: Mapping[str, Callable[..., Any]], where: str) -> list[Any]:
    """Parse each key with its reader; raise one ValueError that names all keys that fail."""
    found, faults = [], []
    for key, read_part in readers.items():
        try:
            found.append(read_part(value[key]))
        except (KeyError, TypeError, ValueError, AttributeError):
            faults.append(key)
    if faults:
        raise ValueError(f"{' and '.join(faults)} missing or not as in {where}")
    return found


def _modalities(value: dict[str, str]) -> tuple[str, ...]:
    """Return the modalities in channel order; duplicate names get the channel number as a suffix."""
    names = {key: str(value[key]) for key in sorted(value, key=int)}
    if not names:
        raise ValueError(value)
    often = Counter(names.values())
    return tuple(f"{name}_{key}" if often[name] > 1 else name for key, name in names.items())


def _numbered(value: dict[str, str]) -> dict[str, tuple[int, ...]]:
    """Parse the decathlon's labels (number → name): equal names form one class, value 0 is background."""
    classes: dict[str, tuple[int, ...]] = {}
    for number in sorted(int(key) for key in value):
        if number != 0:
            name = str(value[str(number)])
            classes[name] = (*classes.get(name, ()), number)
    if not classes:
        raise ValueError(value)
    return classes


def _list(value: list[Any]) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _named_values(value: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Parse nnU-Net's labels (name → value, or values of a region) in file order."""
    return {str(name): tuple(int(v) for v in (values if isinstance(values, list) else [values]))
            for name, values in value.items()}


def _classes(labels: Values, order: Any) -> Classes:
    """Return nnU-Net's labels without the background; regions that overlap in the order of `regions_class_order`.

    Raises:
        ValueError: The value of the `ignore` label is also another's, regions that overlap have no order or a wrong
            one, or there is no class.
    """
    if order is not None and not (isinstance(order, list) and all(isinstance(value, int) for value in order)):
        raise ValueError(f"{ORDER} is not a list of label values")
    learned = {name: tuple(value for value in values if value != 0) for name, values in labels.items()}
    classes = Classes.of({name: values for name, values in learned.items() if values or name == IGNORE}
                         | {name: labels[name] for name in labels if name == IGNORE}, order, _in_order)
    if not classes:
        raise ValueError("labels has no class besides the background")
    return classes


def _in_order(written: Mapping[str, int]) -> str:
    """Say how `dataset.json` puts regions in order."""
    return f'list them in the order {", ".join(written)}, with "{ORDER}": {list(written.values())}'


def _ending(value: dict[str, Any]) -> str:
    ending = value.get("file_ending")
    if not isinstance(ending, str) or ending.lower() not in KNOWN:
        raise ValueError(f"file_ending is {ending!r}; supported: {TAKEN}, and {', '.join(PICTURES)}. "
                         "Convert the images to NIfTI")
    if "dataset" in value:
        raise ValueError(f"it lists its files under `dataset`, which is not supported: lay them in {IMAGES}/ and "
                         f"{LABELS}/")
    return ending


def _entries(folder: Path, ending: str) -> list[dict[str, Any]]:
    """List nnU-Net's cases: `imagesTr/<case>_0000<ending>` …, `labelsTr/<case><ending>`."""
    channel = re.compile(rf"(.+)_\d{{4}}{re.escape(ending)}")
    names = {match.group(1) for name in _names(folder / IMAGES) if (match := channel.fullmatch(name))}
    names |= {name.removesuffix(ending) for name in _names(folder / LABELS) if name.endswith(ending)}
    return [{"image": f"{IMAGES}/{name}{ending}", "label": f"{LABELS}/{name}{ending}"} for name in sorted(names)]


def _names(folder: Path) -> Sequence[str]:
    try:
        return [path.name for path in visible(folder)]
    except OSError:
        return []
