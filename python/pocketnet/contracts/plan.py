"""`plan.json`: how the networks of a dataset are built, trained and applied.

The plan is independent of network width and fold: these fan out over one plan, so that full and pocket
are trained by exactly the same one.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from ..errors import DataError, UsageError
from ..models.network import ARCHITECTURES, Network
from ..models.pooling import divisor, everywhere
from .base import Contract, Record, load, record
from .fields import AboveZero, Bounds, Count, Flag, NotNegative, Number, Positive, Share, Spacing, Text, Unique, Whole
from .labels import CLASSIFICATION, SEGMENTATION, Labels, Modalities, Task, check_labels
from .manifest import Crop, Size

Optimizer = Literal["adam", "adamw"]
Loss = Literal["l2_dice", "dice_cross_entropy", "cross_entropy"]
Schedule = Literal["plateau", "polynomial", "cosine"]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
OPTIMIZERS, LOSS_NAMES, SCHEDULES, PRECISIONS = map(get_args, (Optimizer, Loss, Schedule, Precision))
BelowOne = Annotated[float, Bounds(ge=0, lt=1)]
Factor = Annotated[float, Bounds(gt=0, le=1)]
Decay = Annotated[float, Bounds(gt=0, lt=1)]
AnyRange = tuple[Number, Number]
Range = tuple[NotNegative, NotNegative]
FactorRange = tuple[AboveZero, AboveZero]
Axis = Annotated[int, Field(strict=True, ge=0, le=2)]
Patch = Annotated[tuple[Positive, ...], Field(min_length=2, max_length=3)]


def architectures(task: str) -> tuple[str, ...]:
    """The architectures that do a task, the default first."""
    return tuple(name for name in ARCHITECTURES if ARCHITECTURES[name]["task"] == task)


def check_architecture(task: str, arch: str) -> str:
    """Give back the name of an architecture that does the task.

    Raises:
        UsageError: It does another task; says which ones do this.
    """
    if arch in ARCHITECTURES and arch not in architectures(task):
        raise UsageError(f"The architecture '{arch}' is not for {task}.",
                         todo=f"Use one of {', '.join(architectures(task))}.")
    return arch


def fewest_cases(folds: int) -> int:
    """Labelled cases that so many folds need, for each to have some to train on, to validate and to test."""
    return 4 if folds == 2 else max(folds, 3)


@record
class Preprocessing(Record):
    """From a file's volume to what the network sees.

    Attributes:
        crop: `nonzero`: to the box of voxels that are not zero in every modality; or `none`.
        spacing_mm: Target spacing per RAS+ axis in mm; None keeps each case's own.
        normalisation: `zscore`: by the case's own foreground (non-zero) mean and standard deviation, zero
            stays zero; `window`: clipped to the fold's 0.5 and 99.5 percentiles of labelled voxels, then by
            their mean and standard deviation; `zscore_image`: by the mean and standard deviation of the whole
            image, zeros included.
        size: Rows and columns that an image is resized to, whatever its aspect ratio (classification); else None.
    """

    crop: Crop
    spacing_mm: Spacing | None
    normalisation: Literal["zscore", "window", "zscore_image"]
    size: Size | None = None

    @classmethod
    def read(cls, path: str | Path) -> Preprocessing:
        """The `preprocessing` section of a plan, all that the preprocess step depends on.

        A file that holds this section only is enough: the pipeline passes such a one, so that a change of the
        batch does not preprocess anything again.

        Raises:
            UsageError: The file is not there.
            DataError: It is not JSON, or the section is not there or not valid.
        """
        value = load(path, "plan", Plan.writer)
        if not isinstance(value, dict) or "preprocessing" not in value:
            raise DataError("This is not a valid plan.", problems=["preprocessing: it is missing"], where=str(path),
                            todo="Make it anew with pocket-plan.")
        return cls.from_json(value["preprocessing"], f"{path}, preprocessing", "preprocessing section of a plan")


@record
class NetworkPlan(Record):
    """What the networks have in common; architecture and width are added per training."""

    dimensions: Literal[2, 3]
    channels: Positive
    classes: Annotated[int, Field(strict=True, ge=2, le=256)]
    depth: Count
    feature_maps: Positive
    pooling: tuple[Patch, ...]
    norm: Literal["batch", "instance", "none"]
    skip: Literal["concatenate", "add"]
    convolution: Literal["standard", "separable"] = "standard"
    activation: Literal["relu", "leaky_relu"] = "relu"

    @property
    def divisor(self) -> tuple[int, ...]:
        """The number that must divide the patch, per axis."""
        return divisor(self.pooling or everywhere(self.dimensions, self.depth), self.dimensions)

    def network(self, arch: str, width: str) -> Network:
        """The network of one architecture and width."""
        return Network(arch=arch, width=width, **{f.name: getattr(self, f.name) for f in fields(self)})


@record
class Augmentation(Record):
    """Random changes of a training patch, each applied with its probability.

    The paper has the first three (Section II-B3); nnU-Net's default has all but `elastic`, and more.

    Attributes:
        flip: Probability of mirroring, per axis.
        noise: Probability of additive Gaussian noise of a standard deviation drawn from `noise_sd`.
        blur: Probability of Gaussian blur of a sigma in voxels drawn from `blur_sigma`.
        flip_axes: The axes that may be mirrored; None for all.
        rotation: Probability of a rotation about each axis by an angle drawn from `rotation_degrees`.
        scaling: Probability of a scaling by a factor drawn from `scaling_range`, the same for all axes.
        elastic: Probability of an elastic deformation: control points `elastic_spacing_mm` apart are moved by a
            normal displacement of a standard deviation drawn from `elastic_sd_mm`.
        brightness: Probability of a multiplication by a factor drawn from `brightness_range`, per channel.
        contrast: Probability of a stretch about the mean by a factor drawn from `contrast_range`, per channel.
        gamma: Probability of raising intensities, brought to 0…1 and back, to a power drawn from `gamma_range`,
            per channel; every other time of the inverted image.
    """

    flip: Share
    noise: Share
    blur: Share
    noise_sd: Range | None = (0.0, 0.1)
    blur_sigma: Range | None = (0.5, 1.0)
    flip_axes: Unique[Axis] | None = None
    rotation: Share = 0.0
    rotation_degrees: AnyRange = (-15.0, 15.0)
    scaling: Share = 0.0
    scaling_range: FactorRange = (0.85, 1.2)
    elastic: Share = 0.0
    elastic_sd_mm: Range = (0.0, 2.0)
    elastic_spacing_mm: AboveZero = 16.0
    brightness: Share = 0.0
    brightness_range: FactorRange = (0.75, 1.25)
    contrast: Share = 0.0
    contrast_range: FactorRange = (0.75, 1.25)
    gamma: Share = 0.0
    gamma_range: FactorRange = (0.7, 1.5)

    def off(self) -> Augmentation:
        """The same with every probability 0."""
        none: dict[str, Any] = dict.fromkeys(AUGMENTATIONS, 0.0)
        return replace(self, **none)


AUGMENTATIONS = ("flip", "noise", "blur", "rotation", "scaling", "elastic", "brightness", "contrast", "gamma")
"""The probabilities of `Augmentation`."""


BEST, LAST = "best", "last"


@record
class Training(Record):
    """How a network is trained.

    Attributes:
        patch: Voxels per RAS+ axis.
        batch: Patches a step.
        epochs: Epochs of `steps_per_epoch` steps; validation, the plateau schedule and the best
            checkpoint go by epochs.
        loss: `l2_dice` (paper, Eq. 4), `dice_cross_entropy`, or `cross_entropy` (the paper's for classification).
        optimizer: One of `OPTIMIZERS`; `adamw` takes `weight_decay` times the learning rate off each kernel with every
            step.
        learning_rate: At the start, or after the warm-up.
        schedule: One of `SCHEDULES`: `plateau`, which the next two describe, or falling with every step from
            `learning_rate` towards 0, as (1 - t)^0.9 (`polynomial`, nnU-Net's) or (1 + cos πt) / 2 (`cosine`), where t
            is the share of steps done. Of these two the first `warm_up_steps` rise evenly to what the schedule says.
        plateau_factor: The learning rate is multiplied by it after `plateau_patience` epochs in a row without a
            better validation loss, and the count starts again (Keras' `ReduceLROnPlateau`). 0 is as 1.
        checkpoint: The network that is shipped: `BEST`, of the epoch with the best validation loss, or `LAST`, after
            the last step, where a schedule has brought the learning rate to 0.
        average_decay: The weights that are validated and shipped are an exponential moving average over steps with
            this decay; None for those of the step itself.
        clip_norm: Global gradient norm at most this; None for no clipping.
        foreground_fraction: Probability that a patch is centred on a labelled voxel.
        precision: `float32`, or `mixed_float16` or `mixed_bfloat16`: layers compute in 16 bits, weights and loss
            stay in float32 (Keras' dtype policies). On a CPU `mixed_float16` is computed in float32.
        deep_supervision: While training, an encoder-decoder's coarser levels predict, too; each counts half as much in
            the loss as the next finer one.
        accumulate: The optimiser steps after every so many steps, by the mean of their gradients: as with a batch so
            many times as large, but for batch normalisation, which sees each batch alone.
        rematerialise: Blocks are computed again in the backward pass instead of being kept: less memory, more time.
    """

    patch: Patch
    batch: Positive
    epochs: Positive
    steps_per_epoch: Positive
    loss: Loss
    optimizer: Optimizer
    learning_rate: AboveZero
    plateau_factor: Factor
    plateau_patience: Count
    clip_norm: AboveZero | None
    foreground_fraction: Share
    augmentation: Augmentation
    precision: Precision = "float32"
    schedule: Schedule = "plateau"
    checkpoint: Literal["best", "last"] = "best"
    average_decay: Decay | None = None
    weight_decay: NotNegative = 0.0
    warm_up_steps: Count = 0
    deep_supervision: Flag = False
    accumulate: Positive = 1
    rematerialise: Flag = False

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.epochs * self.steps_per_epoch


@record
class Inference(Record):
    """How a trained network is applied (paper, Section II-B4).

    Attributes:
        overlap: Share of a patch side by which windows overlap.
        gaussian_sigma: Standard deviation of a window's importance weight as a share of its side.
        largest_component: Keep the largest connected component of each label only.
        mirrored: Average over mirrored images, too, along the axes that training mirrors.
    """

    overlap: BelowOne
    gaussian_sigma: AboveZero
    largest_component: Flag
    mirrored: Flag = False


@record
class Plan(Contract):
    """Everything that a training and an inference of a dataset have in common."""

    kind: ClassVar[str] = "plan"
    writer: ClassVar[str | None] = "plan"
    dataset: Text
    recipe: Text
    seed: Whole
    modalities: Modalities
    labels: Labels
    preprocessing: Preprocessing
    network: NetworkPlan
    training: Training
    inference: Inference
    task: Task = SEGMENTATION

    @model_validator(mode="after")
    def _check(self) -> Any:
        check_labels(self.labels, self.task)
        network, size = self.network, self.preprocessing.size
        classes = len(self.labels) + (self.task == SEGMENTATION)
        if network.classes != classes:
            raise ValueError(f"network.classes {classes}, for {len(self.labels)} labels, not {network.classes}")
        if network.channels != len(self.modalities):
            raise ValueError(f"network.channels {len(self.modalities)}, one a modality, not {network.channels}")
        if self.preprocessing.spacing_mm and len(self.preprocessing.spacing_mm) != network.dimensions:
            raise ValueError(f"a preprocessing.spacing_mm of {network.dimensions} numbers, one an axis")
        if self.task == CLASSIFICATION and size != self.training.patch:
            raise ValueError("a preprocessing.size that is the training.patch, as in every classification")
        return self

    @property
    def default_arch(self) -> str:
        """The architecture that is trained when none is named."""
        return architectures(self.task)[0]

    def network_of(self, arch: str, width: str) -> Network:
        """The network of one architecture and width, for this plan's task and patch.

        Raises:
            UsageError: The architecture does another task, or cannot be built for the patch.
        """
        network = self.network.network(check_architecture(self.task, arch), width)
        network.check_patch(self.training.patch)
        return network

    @classmethod
    def parse(cls, value: Any, where: str | Path) -> Plan:
        """Check the JSON value of a file.

        Raises:
            DataError: It does not validate.
            UsageError: Its network or patch cannot be built.
        """
        plan = super().parse(value, where)
        plan.network_of(plan.default_arch, "pocket")
        return plan
