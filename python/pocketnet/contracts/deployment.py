"""`deployment.json` of an exported folder: describes the network's input, output and processing to other programs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract, Record, record
from .decisions import Operations
from .fields import AnyText, Count, NotNegative, Number, Path, Positive, Share, Text
from .manifest import Crop
from .splits import Intensity
from .tasks import Task


@record
class OutputClass(Record):
    """A class and its index in the output."""

    name: Text
    value: Count


@record
class NetworkInput(Record):
    """The network's input.

    Attributes:
        name: Name of the tensor.
        type: Data type.
        axes: Names of the axes.
        orientation: Orientation of the spatial axes.
        patch: Patch used in training, in voxels per spatial axis.
        multiple_of: Each side must be a multiple of this, per spatial axis.
    """

    name: AnyText
    type: Literal["float32"]
    axes: tuple[AnyText, ...]
    orientation: AnyText
    patch: tuple[Positive, ...]
    multiple_of: tuple[Positive, ...]


@record
class NetworkOutput(Record):
    """The network's output: data type, names of the axes and meaning of the values.

    `region_probabilities` are those of classes that overlap: a voxel gets the value of the last class whose probability
    is above 0.5.
    """

    type: Literal["float32"]
    axes: tuple[AnyText, ...]
    meaning: Literal["probabilities", "region_probabilities"]


@record
class Preparation(Record):
    """Preprocessing from an image to the input: `plan.Preprocessing` with the fold's intensity constants."""

    crop: Crop
    spacing_mm: tuple[Number, ...] | None
    normalisation: AnyText
    size: tuple[Positive, ...] | None
    intensity: tuple[Intensity, ...]


@record
class Windows(Record):
    """Post-processing from the outputs of windows to a label map.

    Attributes:
        overlap, gaussian_sigma: As in `plan.Inference`.
        postprocessing: Operations by label, for the labels that have any.
    """

    overlap: Number
    gaussian_sigma: Number
    postprocessing: dict[Text, Operations]


@record
class ExportedNetwork(Record):
    """An exported network and its agreement with the trained one on one patch.

    Attributes:
        file: Path within the folder.
        largest_difference: Largest absolute difference of a probability.
        labels_equal: Share of voxels with the same label.
    """

    file: Path
    largest_difference: NotNegative
    labels_equal: Share


@record
class Deployment(Contract):
    """An exported network.

    Attributes:
        dataset, task: As in training.
        model: Checksum of the model folder.
        version: Version of this package.
        modalities: Input channels, in order.
        classes: Output classes, in order.
        input, output: Tensor of the network.
        preprocessing: Steps before the network.
        inference: Steps after the network.
        networks: Exported network per format.
    """

    kind: ClassVar[str] = "deployment"
    schema_version: ClassVar[int] = 2
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
