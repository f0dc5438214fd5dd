"""`deployment.json` of an exported folder: what a program needs that feeds the network itself."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract, Record, record
from .fields import AnyText, Count, Flag, NotNegative, Number, Path, Positive, Share, Text
from .labels import Task
from .manifest import Crop
from .splits import Intensity


@record
class OutputClass(Record):
    """A class and its index in the output."""

    name: Text
    value: Count


@record
class NetworkInput(Record):
    """The network's input.

    Attributes:
        name: Of the tensor.
        type: Of its numbers.
        axes: Names of its axes.
        orientation: Of its spatial axes.
        patch: The training's, per spatial axis.
        multiple_of: What each side must be a multiple of.
    """

    name: AnyText
    type: Literal["float32"]
    axes: tuple[AnyText, ...]
    orientation: AnyText
    patch: tuple[Positive, ...]
    multiple_of: tuple[Positive, ...]


@record
class NetworkOutput(Record):
    """The network's output: its numbers, names of its axes, their meaning."""

    type: Literal["float32"]
    axes: tuple[AnyText, ...]
    meaning: Literal["probabilities"]


@record
class Preparation(Record):
    """From an image to the input; as `plan.Preprocessing`, with the fold's intensity constants."""

    crop: Crop
    spacing_mm: tuple[Number, ...] | None
    normalisation: AnyText
    size: tuple[Positive, ...] | None
    intensity: tuple[Intensity, ...]


@record
class Windows(Record):
    """From the outputs of windows to a label map; as `plan.Inference`."""

    overlap: Number
    gaussian_sigma: Number
    largest_component: Flag


@record
class ExportedNetwork(Record):
    """A written network, held against the trained one on one patch.

    Attributes:
        file: Path within the folder.
        largest_difference: Of a probability.
        labels_equal: Share of voxels with the same label.
    """

    file: Path
    largest_difference: NotNegative
    labels_equal: Share


@record
class Deployment(Contract):
    """A network to deploy.

    Attributes:
        dataset, task: What it was trained for.
        model: Checksum of the model folder.
        version: Of this package.
        modalities: Channels, in order.
        classes: Of the output, in order.
        input, output: The network's.
        preprocessing: Before the network.
        inference: Behind it.
        networks: What was written, by format.
    """

    kind: ClassVar[str] = "deployment"
    writer: ClassVar[str | None] = "export"
    dataset: Text
    task: Task
    model: Text
    version: Text
    modalities: Annotated[tuple[AnyText, ...], Field(min_length=1)]
    classes: Annotated[tuple[OutputClass, ...], Field(min_length=2)]
    input: NetworkInput
    output: NetworkOutput
    preprocessing: Preparation
    inference: Windows
    networks: Annotated[dict[Text, ExportedNetwork], Field(min_length=1)]
