"""Choose the classes to learn and their values in the label files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..contracts.labels import IGNORE, Label, SegmentCode
from ..errors import UsageError
from ..preprocessing.geometry import read
from ..preprocessing.label_maps import most_classes
from .presets import Preset, unknown

Values = Mapping[str, tuple[int, ...]]
"""Values in the label files by class name, in order."""


class Classes(dict[str, tuple[int, ...]]):
    """Values in the label files by class name, in order.

    Attributes:
        ignore: Value of voxels that nobody annotated; None without one.
    """

    def __init__(self, values: Values = MappingProxyType({}), ignore: int | None = None):
        super().__init__(values)
        self.ignore = ignore

    @classmethod
    def of(cls, values: Values) -> Classes:
        """Return classes of which one may be called `ignore`, the value of voxels that nobody annotated.

        Raises:
            ValueError: The ignore label has several values, the background's or another class's.
        """
        classes = {name: given for name, given in values.items() if name != IGNORE}
        if IGNORE not in values:
            return cls(classes)
        ignored = values[IGNORE]
        if len(ignored) != 1:
            raise ValueError(f"the label `{IGNORE}` has one value, not {', '.join(map(str, ignored))}")
        owner = {value: f"class {name!r}" for name, own in classes.items() for value in own} | {0: "the background"}
        if ignored[0] in owner:
            raise ValueError(f"the value {ignored[0]} of the label `{IGNORE}` is also that of {owner[ignored[0]]}: "
                             "voxels that nobody annotated need a value of their own")
        return cls(classes, ignored[0])


def choose(text: str | None, preset: Preset, folder: Classes | None) -> Classes:
    """Choose the classes to learn.

    Args:
        text: Name of a label set of the preset, or `name=1+2,other=4`; None: the default.
        preset: The dataset's preset.
        folder: The classes in the folder's `dataset.json`; None without one.

    Returns:
        Values in the label files by class name, in order; empty if no classes are defined.

    Raises:
        UsageError: The label set is unknown, the text is malformed, the dataset lacks a value, or a value is in two
            classes.
    """
    sets: Mapping[str, Values] = preset.label_sets or {}
    if not text and not sets:
        return folder or Classes()
    name = text or str(preset.default_labels)
    if name in sets:
        return _of(sets[name], f"label set {name} of the preset {preset.name}")
    if not text or "=" not in text:
        raise unknown("label set", name, sets, option="--labels", todo="Or write name=1+2,other=4.")
    kept = {IGNORE: (folder.ignore,)} if folder and folder.ignore is not None else {}
    classes = _of({**kept, **_parse(text)}, f"--labels {text}")
    known = sorted(known_values(preset, folder, classes) - {0})
    values = [value for of_class in classes.values() for value in of_class]
    for value in sorted(set(values)):
        if value not in known:
            raise UsageError(f"The dataset has no label value {value}.", where=f"--labels {text}",
                             todo=f"Its values: {', '.join(map(str, known))}; 0 is background.")
        if values.count(value) > 1:
            raise UsageError(f"Value {value} is in two classes.", where=f"--labels {text}")
    return classes


def _of(values: Values, where: str) -> Classes:
    """Return `Classes.of`; an error names the place."""
    try:
        return Classes.of(values)
    except ValueError as error:
        raise UsageError(f"These labels cannot be learned: {error}.", where=where) from None


def check_number(classes: Classes, partly_annotated: bool) -> None:
    """Check that there are no more classes than a label map of classes holds.

    Raises:
        UsageError: There are more.
    """
    most = most_classes(partly_annotated)
    if len(classes) > most:
        raise UsageError(f"At most {most} classes can be learned, found {len(classes)}.", where="--labels",
                         todo="Choose some of them, or join values to classes: --labels name=1+2,other=4.")


def known_values(preset: Preset, folder: Classes | None, chosen: Classes) -> frozenset[int]:
    """Return all valid values of label files, with 0: the dataset's values, or else those of the chosen classes."""
    sets: Sequence[Values] = [*(preset.label_sets or {}).values(), folder or {}]
    sets = sets if any(sets) else [chosen]
    ignored = {one.ignore for one in (folder, chosen) if one is not None and one.ignore is not None}
    return frozenset({0}.union(ignored, *(values for classes in sets for values in classes.values())))


def unnamed(folder: Path, path: str | None) -> UsageError:
    """Return the error for a dataset without named labels; it shows the values of the label map at `path`."""
    todo = 'Name them: --labels "lesion=1", or in a preset file.'
    if path:
        values = [int(value) for value in np.unique(read(folder / path, label=True).data) if value]
        example = ",".join(f"label{value}={value}" for value in values) or "lesion=1"
        todo = f'{path} has the values {", ".join(map(str, values)) or "0 only"}: --labels "{example}", say.'
    return UsageError("This dataset does not say what the values of its label maps mean.", where="--labels", todo=todo)


def as_manifest(classes: Classes, first: int, codes: Mapping[str, SegmentCode] | None = None) -> tuple[Label, ...]:
    """Return the `labels` of a manifest: the classes in order, with the values from `first` on and their codes."""
    return tuple(Label(name, value, tuple(source), (codes or {}).get(name))
                 for value, (name, source) in enumerate(classes.items(), first))


def _parse(text: str) -> dict[str, tuple[int, ...]]:
    classes: dict[str, tuple[int, ...]] = {}
    for part in text.split(","):
        name, _, values = (word.strip() for word in part.partition("="))
        try:
            numbers = tuple(int(value) for value in values.split("+"))
        except ValueError:
            numbers = ()
        if not name or not numbers or name in classes:
            raise UsageError(f"Expected classes as name=1+2,other=4, each once. Received: {part.strip()!r}",
                             where=f"--labels {text}")
        classes[name] = numbers
    return classes
