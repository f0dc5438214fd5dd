"""`labels.json` of a model folder, and types shared by manifest, plan and model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from . import regions
from .base import Contract, Record, record
from .fields import Count, Distinct, Positive, Text, Whole, absent
from .tasks import TASKS

MEAN = "mean"
"""Label of the mean over all labels in tables, and no label's name."""
BACKGROUND = "background"
"""Name of the background in lists of classes."""
IGNORE = "ignore"
"""Name of the value of unannotated voxels in `dataset.json`, presets and `--labels`, as in nnU-Net."""


@record
class Concept(Record):
    """A coded concept, as in DICOM.

    Attributes:
        scheme: Designator of the coding scheme, such as `SCT` (SNOMED CT), `DCM`, `FMA` or `NCIt`.
        value: The code in this scheme.
        meaning: What the code means, in words.
    """

    scheme: Annotated[Text, Field(max_length=16)]
    value: Annotated[Text, Field(max_length=64)]
    meaning: Annotated[Text, Field(max_length=64)]


@record
class SegmentCode(Record):
    """The standard codes of a class, which DICOM segmentations carry.

    Attributes:
        type: The structure or finding, such as the liver or an edema.
        category: The kind of object; by default an anatomical structure.
        modifier: A part or side of it, such as left or anterior.
    """

    type: Concept
    category: Concept | None = absent()
    modifier: Concept | None = absent()


@record
class Label(Record):
    """A class of the task.

    Attributes:
        name: Name of the class.
        value: Value in written label maps, 1…K; for a classification, the index 0…K-1.
        source_values: Values of the dataset's label maps that belong to the class.
        code: Its standard codes, for DICOM segmentations.
        parts: Values of stored and written label maps that belong to the label, if labels overlap (`regions`). The
            written value is that of the last label that a voxel has.
    """

    name: Text
    value: Count
    source_values: Annotated[tuple[Whole, ...], Field(min_length=1)]
    code: SegmentCode | None = absent()
    parts: Annotated[tuple[Positive, ...], Field(min_length=1), Distinct()] | None = absent()


Labels = Annotated[tuple[Label, ...], Field(min_length=1)]
Modalities = Annotated[tuple[Text, ...], Field(min_length=1)]


def check_labels(labels: tuple[Label, ...], task: str) -> None:
    """Check that names are unique and values count up from 1 (classification: from 0).

    Raises:
        ValueError: If they are not.
    """
    first = TASKS[task].first_value
    values = [label.value for label in labels]
    if values != list(range(first, first + len(labels))):
        raise ValueError(f"labels with the values {first}…{first + len(labels) - 1} in order, not {values}")
    if first and any(label.name == MEAN for label in labels):
        raise ValueError(f"labels not called {MEAN!r}, which stands for their mean in tables")
    if len({label.name for label in labels}) != len(labels):
        raise ValueError(f"labels with different names, not {[label.name for label in labels]}")
    if overlapping(labels):
        expected = regions.parts({label.name: label.source_values for label in labels})
        for label in labels:
            if label.parts != expected[label.name]:
                raise ValueError(f"the parts {list(expected[label.name])} of the overlapping label {label.name!r}, not "
                                 f"{label.parts and list(label.parts)}")


def overlapping(labels: Sequence[Label]) -> bool:
    """Return whether labels overlap: a voxel may have several, and the network predicts each with its own sigmoid."""
    return any(label.parts is not None for label in labels)


def probability_map(case: str, label: Label) -> str:
    """Return the file name of a case's probability map for a label."""
    return f"{case}_probability_{label.value}.nii.gz"


def outputs(labels: Sequence[Label], task: str) -> int:
    """Return the number of a network's outputs: the labels and, if they do not overlap, the background."""
    return len(labels) + (0 if overlapping(labels) else TASKS[task].first_value)


def check_annotation(labels: tuple[Label, ...], ignore: int | None, annotated: Mapping[str, tuple[str, ...]]) -> None:
    """Check an ignore value and lists of annotated labels.

    Args:
        labels: The labels.
        ignore: Value of unannotated voxels; None without one.
        annotated: Names of the annotated labels by case, for incompletely annotated cases.

    Raises:
        ValueError: The ignore value is the background's or a label's, or a list names an unknown label.
    """
    owner = {0: "the background"} | {value: label.name for label in labels for value in label.source_values}
    if ignore in owner:
        raise ValueError(f"an ignore value that no label has; {ignore} is {owner[ignore]}")
    known = {label.name for label in labels}
    for case, names in annotated.items():
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"annotated labels among {sorted(known)}; {case} has {unknown[0]!r}")


@record
class ModelLabels(Contract):
    """Input channels and output classes of a network.

    Attributes:
        modalities: Input channels, in order.
        labels: Output classes, without the background.
    """

    kind: ClassVar[str] = "labels"
    modalities: Modalities
    labels: Labels
