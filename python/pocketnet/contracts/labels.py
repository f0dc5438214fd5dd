"""`labels.json` of a model folder, and the classes that manifest, plan and model folder share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract, Record, record
from .fields import Count, Text, Whole

SEGMENTATION: Literal["segmentation"] = "segmentation"
CLASSIFICATION: Literal["classification"] = "classification"
TASKS = (SEGMENTATION, CLASSIFICATION)
Task = Literal["segmentation", "classification"]


@record
class Label(Record):
    """A class of the task.

    Attributes:
        name: As people call it.
        value: Its value in our label maps, 1…K; in a classification its index, 0…K-1.
        source_values: The values of the dataset's label maps that belong to it.
    """

    name: Text
    value: Count
    source_values: Annotated[tuple[Whole, ...], Field(min_length=1)]


Labels = Annotated[tuple[Label, ...], Field(min_length=1)]
Modalities = Annotated[tuple[Text, ...], Field(min_length=1)]


def check_labels(labels: tuple[Label, ...], task: str) -> None:
    """Check that names differ and values count from 1, in a classification from 0.

    Raises:
        ValueError: They do not.
    """
    first = 0 if task == CLASSIFICATION else 1
    values = [label.value for label in labels]
    if values != list(range(first, first + len(labels))):
        raise ValueError(f"labels with the values {first}…{first + len(labels) - 1} in order, not {values}")
    if len({label.name for label in labels}) != len(labels):
        raise ValueError(f"labels with different names, not {[label.name for label in labels]}")


@record
class ModelLabels(Contract):
    """What a network takes and gives.

    Attributes:
        modalities: Its channels, in order.
        labels: Its classes, without the background.
    """

    kind: ClassVar[str] = "labels"
    modalities: Modalities
    labels: Labels
