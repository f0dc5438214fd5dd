"""Choose the classes to learn and their values in the label files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..contracts import regions
from ..contracts.labels import IGNORE, Label, SegmentCode
from ..contracts.regions import Values
from ..errors import UsageError
from ..preprocessing.geometry import read
from ..preprocessing.label_maps import most_classes
from .presets import Preset, unknown

How = Callable[[Mapping[str, int]], str]

class Classes(dict[str, tuple[int, ...]]):
    """Values in the label files by class name, in order.

    If classes overlap, they are regions in the order of writing.

    Attributes:
        ignore: Value of unannotated voxels; None without one.
    """

    def __init__(self, values: Values = MappingProxyType({}), ignore: int | None = None):
        super().__init__(values)
        self.ignore = ignore

    @property
    def overlap(self) -> bool:
        """Whether classes overlap."""
        return regions.overlapping(self) is not None

    @classmethod
    def of(cls, values: Values, order: Sequence[int] | None = None, how: How = lambda written: "") -> Classes:
        """Return classes, one of which may be called `ignore`: the value of unannotated voxels.

        Args:
            values: Values in the label files by name.
            order: For each class in turn, one of its values, as in nnU-Net's `regions_class_order`: voxels of several
                classes are written as the last one. Needed if classes overlap.
            how: Says how to write the given regions with their values in `order`, for messages.

        Raises:
            ValueError: The ignore label has several values, the background's or another class's; or classes overlap
                without an order, or with one by which a class is never written.
        """
        classes = {name: given for name, given in values.items() if name != IGNORE}
        _check_regions(classes, order, how)
        if IGNORE not in values:
            return cls(classes)
        ignored = values[IGNORE]
        if len(ignored) != 1:
            raise ValueError(f"the label `{IGNORE}` has one value, not {', '.join(map(str, ignored))}")
        owner = {value: f"class {name!r}" for name, own in classes.items() for value in own} | {0: "the background"}
        if ignored[0] in owner:
            raise ValueError(f"the value {ignored[0]} of the label `{IGNORE}` is also that of {owner[ignored[0]]}: "
                             "unannotated voxels need a separate value")
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
        return _of(sets[name], f"label set {name} of the preset {preset.name}", preset.region_orders.get(name))
    if not text or "=" not in text:
        raise unknown("label set", name, sets, option="--labels", todo="Or write name=1+2,other=4.")
    kept = {IGNORE: (folder.ignore,)} if folder and folder.ignore is not None else {}
    found, order = _parse(text)
    classes = _of({**kept, **found}, f"--labels {text}", order)
    known = sorted(known_values(preset, folder, classes) - {0})
    values = [value for of_class in classes.values() for value in of_class]
    for value in sorted(set(values)):
        if value not in known:
            raise UsageError(f"The dataset has no label value {value}.", where=f"--labels {text}",
                             todo=f"Its values: {', '.join(map(str, known))}; 0 is background.")
    twice = [name for name, own in classes.items() if len(set(own)) != len(own)]
    if twice:
        raise UsageError(f"The class {twice[0]!r} has a value twice.", where=f"--labels {text}")
    return classes


def _check_regions(values: Values, order: Sequence[int] | None, how: How) -> None:
    """Check the order of classes that overlap; raises the errors of `Classes.of`."""
    shared = regions.overlapping(values)
    if shared is None:
        return
    right = how(regions.outermost_first(values))
    if order is None:
        raise ValueError(f"the regions {shared[0]!r} and {shared[1]!r} overlap in the value {shared[2]}, and no order "
                         f"says which of them a voxel of both is written as; {right}")
    if len(order) != len(values):
        raise ValueError(f"the order of the regions has {len(order)} values, but there are {len(values)} regions; "
                         f"{right}")
    for (name, own), value in zip(values.items(), order, strict=True):
        if value not in own:
            raise ValueError(f"the order has {value} for the region {name!r}, which has the values "
                             f"{', '.join(map(str, own))}; {right}")
    if hidden := regions.covered(values):
        raise ValueError(f"the region {hidden[0]!r} would never be written, because {hidden[1]!r} comes after it and "
                         f"contains it; {right}")


def _of(values: Values, where: str, order: Sequence[int] | None = None) -> Classes:
    """Return `Classes.of` for values from a preset or an option; an error names the place."""
    def how(written: Mapping[str, int]) -> str:
        return 'write "' + ",".join(f"{name}={'+'.join(map(str, values[name]))}:{value}"
                                    for name, value in written.items()) + '"'

    try:
        return Classes.of(values, order, how)
    except ValueError as error:
        raise UsageError(f"These labels cannot be learned: {error}.", where=where) from None


def check_number(classes: Classes, partly_annotated: bool) -> None:
    """Check that there are no more classes than a label map of classes holds.

    Raises:
        UsageError: There are more.
    """
    most = most_classes(partly_annotated)
    if len(set(regions.stored_values(classes).values()) if classes.overlap else classes) > most:
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
    parts = regions.parts(classes) if classes.overlap else {}
    return tuple(Label(name, value, tuple(source), (codes or {}).get(name), parts.get(name))
                 for value, (name, source) in enumerate(classes.items(), first))


def _parse(text: str) -> tuple[dict[str, tuple[int, ...]], list[int] | None]:
    """Parse `name=1+2,other=4`, or with the order of regions `name=1+2:1,other=2:2`, into classes and order."""
    classes: dict[str, tuple[int, ...]] = {}
    order: list[int] = []
    for part in text.split(","):
        name, _, given = (word.strip() for word in part.partition("="))
        values, colon, written = given.partition(":")
        try:
            numbers = tuple(int(value) for value in values.split("+"))
            order += [int(written)] if colon else []
        except ValueError:
            numbers = ()
        if not name or not numbers or name in classes:
            raise UsageError(f"Expected classes as name=1+2,other=4, each once. Received: {part.strip()!r}",
                             where=f"--labels {text}")
        classes[name] = numbers
    return classes, order or None
