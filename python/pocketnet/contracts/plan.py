"""`plan.json`: how the networks of a dataset are built, trained and applied.

A plan does not depend on network width and fold, so that full and pocket networks are trained in exactly the same way.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from ..errors import DataError, UsageError
from ..models.network import ARCHITECTURES, SIGMOID, SOFTMAX, Network
from ..models.pooling import divisor, everywhere
from ..models.widths import configuration_of, configured
from .base import Contract, Record, load, record
from .configuration import Configuration
from .fields import (
    AboveZero,
    Bounds,
    Count,
    Flag,
    NotNegative,
    Number,
    Positive,
    Share,
    Spacing,
    Text,
    Unique,
    Whole,
    absent,
)
from .labels import BACKGROUND, Labels, Modalities, check_labels, outputs, overlapping
from .manifest import Crop, Size
from .tasks import DEFAULT, TASKS, Task

Optimizer = Literal["adam", "adamw"]
Loss = Literal["l2_dice", "dice_cross_entropy", "cross_entropy", "tversky", "focal_tversky", "tversky_cross_entropy",
               "dice_cross_entropy_boundary"]
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
Kernel = Annotated[tuple[Literal[1, 3], ...], Field(min_length=2, max_length=3)]


def architectures(task: str) -> tuple[str, ...]:
    """Return the architectures for a task, the default first."""
    return tuple(name for name in ARCHITECTURES if ARCHITECTURES[name]["task"] == task)


def check_architecture(task: str, arch: str) -> str:
    """Return `arch` if it suits the task.

    Raises:
        UsageError: If the architecture is for another task; the message lists the valid ones.
    """
    if arch in ARCHITECTURES and arch not in architectures(task):
        raise UsageError(f"The architecture '{arch}' is not for {task}.",
                         todo=f"Use one of {', '.join(architectures(task))}.")
    return arch


def fewest_cases(folds: int) -> int:
    """Return the minimum number of labelled cases for `folds` folds, each with training, validation and test cases."""
    return 4 if folds == 2 else max(folds, 3)


@record
class Preprocessing(Record):
    """Preprocessing from a file's volume to the network's input.

    Attributes:
        crop: `nonzero` crops to the bounding box of the voxels that are non-zero in every modality; `none` does not
            crop.
        spacing_mm: Target spacing per RAS+ axis in mm; None keeps each case's spacing.
        normalisation: `zscore`: z-score with the mean and standard deviation of the case's foreground (non-zero)
            voxels; zeros stay zero. `window`: clip to the fold's 0.5 and 99.5 percentiles of labelled voxels, then
            z-score with their mean and standard deviation. `zscore_image`: z-score with the mean and standard deviation
            of the whole image, including zeros.
        size: Rows and columns to resize images to, ignoring the aspect ratio (classification); else None.
    """

    crop: Crop
    spacing_mm: Spacing | None
    normalisation: Literal["zscore", "window", "zscore_image"]
    size: Size | None = None

    @classmethod
    def read(cls, path: str | Path) -> Preprocessing:
        """Read the `preprocessing` section of a plan. The preprocess step depends on nothing else.

        The file may contain only this section. The pipeline passes such a file, so that a change of the batch size does
        not repeat preprocessing.

        Raises:
            UsageError: If the file does not exist.
            DataError: If the file is not JSON, or the section is missing or invalid.
        """
        value = load(path, "plan", Plan.writer)
        if not isinstance(value, dict) or "preprocessing" not in value:
            raise DataError("This is not a valid plan.", problems=["preprocessing: it is missing"], where=str(path),
                            todo="Create it again with pocket-plan.")
        return cls.from_json(value["preprocessing"], f"{path}, preprocessing", "preprocessing section of a plan")


@record
class NetworkPlan(Record):
    """Settings common to all networks; each training adds architecture and width.

    Attributes:
        classes: Output channels.
        head: `sigmoid` if labels overlap; otherwise a softmax over the classes.
        kernel: Sides of the convolutions' kernels, 3 everywhere if absent. A 2D network for volumes has 1 along the
            axis through its planes: it segments slice by slice and never joins slices.
    """

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
    head: Literal["sigmoid"] | None = absent()
    kernel: Kernel | None = absent()

    @property
    def through(self) -> int | None:
        """Axis through the planes of a 2D network for volumes; None for other networks."""
        return self.kernel.index(1) if self.kernel and 1 in self.kernel else None

    @property
    def convolved_dimensions(self) -> int:
        """Number of axes along which convolutions reach: 2 for a 2D network for volumes."""
        return self.dimensions - (self.through is not None)

    @property
    def divisor(self) -> tuple[int, ...]:
        """Number per axis that must divide the patch."""
        return divisor(self.pooling or everywhere(self.dimensions, self.depth), self.dimensions)

    def network(self, arch: str, width: str) -> Network:
        """Return the network of one architecture and width."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return Network(arch=arch, width=width, **given | {"head": self.head or SOFTMAX, "kernel": self.kernel or ()})


@record
class Augmentation(Record):
    """Random transformations of a training patch, each applied with its probability.

    The paper uses the first three (Section II-B3). nnU-Net's default uses all except `elastic`, and more.

    Attributes:
        flip: Probability of mirroring, per axis.
        noise: Probability of additive Gaussian noise; its standard deviation is drawn from `noise_sd`.
        blur: Probability of Gaussian blur; its sigma in voxels is drawn from `blur_sigma`.
        flip_axes: Axes that may be mirrored; None for all.
        rotation: Probability of rotation about each axis by an angle drawn from `rotation_degrees`.
        scaling: Probability of scaling by a factor drawn from `scaling_range`, the same for all axes.
        elastic: Probability of an elastic deformation. Control points `elastic_spacing_mm` apart are displaced by
            normally distributed vectors with a standard deviation drawn from `elastic_sd_mm`.
        brightness: Probability of multiplying intensities by a factor drawn from `brightness_range`, per channel.
        contrast: Probability of scaling intensities about their mean by a factor drawn from `contrast_range`, per
            channel.
        gamma: Probability of raising intensities, rescaled to 0…1 and back, to a power drawn from `gamma_range`, per
            channel; with probability 1/2 the inverted image is used.
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

    @property
    def mirrors(self) -> bool:
        """Whether patches are mirrored along an axis."""
        return self.flip > 0 and self.flip_axes != ()

    def off(self) -> Augmentation:
        """Return a copy with all probabilities set to 0."""
        none: dict[str, Any] = dict.fromkeys(AUGMENTATIONS, 0.0)
        return replace(self, **none)


AUGMENTATIONS = ("flip", "noise", "blur", "rotation", "scaling", "elastic", "brightness", "contrast", "gamma")
"""Fields of `Augmentation` that are probabilities."""


BEST, LAST = "best", "last"
AUTO: Literal["auto"] = "auto"
"""Value of a setting that the data decide."""
PARTIAL: Literal["partial"] = "partial"
"""Value of `Plan.annotation`."""


@record
class Training(Record):
    """How a network is trained.

    Attributes:
        patch: Voxels per RAS+ axis.
        batch: Patches per step.
        epochs: Number of epochs of `steps_per_epoch` steps. Validation, the plateau schedule and the best checkpoint
            work per epoch.
        loss: `l2_dice` (paper, Eq. 4), `cross_entropy` (the paper's for classification), or another of `Loss`.
        optimizer: One of `OPTIMIZERS`; `adamw` subtracts `weight_decay` times the learning rate times the kernel from
            each kernel in every step.
        learning_rate: Initial learning rate, or the rate after the warm-up.
        schedule: One of `SCHEDULES`. `plateau` uses the next two fields. `polynomial` (nnU-Net's) and `cosine` multiply
            `learning_rate` in every step by (1 - t)^0.9 and (1 + cos πt) / 2, where t is the share of finished steps.
            With these two, the learning rate rises linearly to the schedule's value during the first `warm_up_steps`.
        plateau_factor: Factor for the learning rate after `plateau_patience` consecutive epochs without a better
            validation loss; then the count restarts (Keras' `ReduceLROnPlateau`).
        plateau_patience: Number of these epochs; 0 has the same effect as 1.
        checkpoint: Which weights to keep: `best`, of the epoch with the best validation loss, or `last`, after the last
            step, where a schedule has reduced the learning rate to 0.
        average_decay: Decay of an exponential moving average of the weights over steps, which is validated and kept;
            None uses the weights themselves.
        clip_norm: Maximum global gradient norm; None for no clipping.
        foreground_fraction: Probability that a patch is centred on a labelled voxel.
        precision: `float32`, `mixed_float16` or `mixed_bfloat16` (Keras' dtype policies). With the mixed ones, layers
            compute in 16 bits; weights and loss stay in float32. On a CPU `mixed_float16` is computed in float32.
        deep_supervision: Whether the coarser levels of an encoder-decoder also predict during training. Each counts
            half as much in the loss as the next finer level.
        accumulate: Steps per update of the weights, which uses the mean of their gradients. The effect is that of a
            batch this many times larger, except that batch normalisation sees each batch separately.
        rematerialise: Whether blocks are recomputed in the backward pass instead of stored: less memory, more time.
        label_weights: Weights of labels (and of the `background`) in the loss, by name; 1 for those not named.
        balanced_labels: Whether a patch centred on a labelled voxel is drawn label by label over all training cases,
            so that labels that few cases have are as frequent as others; else case by case, then label by label.
        drop_modality: Probability that a training patch lacks modalities, so that the network can do without them:
            each is left out with probability 1/2, but never all. Its voxels are 0 after normalisation.
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
    label_weights: dict[Text, AboveZero] | None = absent()
    balanced_labels: Flag | None = absent()
    drop_modality: Share | None = absent()

    @property
    def steps(self) -> int:
        """Total number of steps."""
        return self.epochs * self.steps_per_epoch


@record
class Inference(Record):
    """How a trained network is applied (paper, Section II-B4).

    Attributes:
        overlap: Overlap of windows, as a share of the patch side.
        gaussian_sigma: Standard deviation of a window's Gaussian weight, as a share of its side.
        largest_component: `auto`: the postprocessing of each label that the data decided on (`decisions.Decisions`).
            True: only the largest connected component of each label, as in the paper. False: no postprocessing.
        mirrored: Whether to average over images mirrored along the axes that training mirrors. `auto`: as the data
            decided (`decisions.Decisions`).
    """

    overlap: BelowOne
    gaussian_sigma: AboveZero
    largest_component: Flag | Literal["auto"]
    mirrored: Flag | Literal["auto"] = False


@record
class Plan(Contract):
    """The settings of training and inference for a dataset.

    Attributes:
        annotation: `partial` if some voxels, or some labels of some cases, were not annotated: the loss leaves out what
            is not known.
        configuration: Whether volumes are segmented slice by slice or in 3D, and why; absent in a classification.
    """

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
    task: Task = DEFAULT
    annotation: Literal["partial"] | None = absent()
    configuration: Configuration | None = absent()

    @model_validator(mode="after")
    def _check(self) -> Any:
        check_labels(self.labels, self.task)
        network, size = self.network, self.preprocessing.size
        classes = outputs(self.labels, self.task)
        if network.classes != classes:
            raise ValueError(f"network.classes {classes}, for {len(self.labels)} labels, not {network.classes}")
        known = {label.name for label in self.labels} | ({BACKGROUND} if classes > len(self.labels) else set())
        if unknown := set(self.training.label_weights or ()) - known:
            raise ValueError(f"training.label_weights of {sorted(known)}, not of {sorted(unknown)}")
        if (network.head == SIGMOID) != overlapping(self.labels):
            raise ValueError("a network.head that is sigmoid if labels overlap, and only then")
        if self.configuration and (self.configuration.name == "2d") != (network.through is not None):
            raise ValueError("a network.kernel with a 1 if the configuration is 2d, and only then")
        if network.channels != len(self.modalities):
            raise ValueError(f"network.channels {len(self.modalities)}, one per modality, not {network.channels}")
        if self.preprocessing.spacing_mm and len(self.preprocessing.spacing_mm) != network.dimensions:
            raise ValueError(f"a preprocessing.spacing_mm of {network.dimensions} numbers, one per axis")
        if TASKS[self.task].resized and size != self.training.patch:
            raise ValueError(f"a preprocessing.size that is the training.patch, as in every {self.task}")
        return self

    @property
    def default_arch(self) -> str:
        """Default architecture for the task."""
        return architectures(self.task)[0]

    def network_of(self, arch: str, width: str) -> Network:
        """Return the network of one architecture and width, for this plan's task and patch.

        Raises:
            UsageError: If the architecture is for another task or cannot be built for the patch, or the name of the
                width ends in another configuration.
        """
        wanted = configuration_of(width)
        if wanted and (not self.configuration or self.configuration.name != wanted):
            found = f"for {self.configuration.name}" if self.configuration else "without a configuration"
            raise UsageError(f"The width {width} is for {wanted}, the plan is {found}.", where=f"--width {width}",
                             todo=f"Give the plan of {wanted}, or a width without -{wanted}.")
        network = self.network.network(check_architecture(self.task, arch), width)
        network.check_patch(self.training.patch)
        return network

    def named(self, width: str) -> str:
        """Return the name of a network of this width: `pocket`, or `pocket-2d` if there is a `pocket-3d`, too."""
        own = self.configuration
        return configured(width, own.name) if own and own.beside and not configuration_of(width) else width

    @classmethod
    def parse(cls, value: Any, where: str | Path) -> Plan:
        """Validate the JSON value of a file.

        Raises:
            DataError: If the value is not valid.
            UsageError: If the network cannot be built for the patch.
        """
        plan = super().parse(value, where)
        plan.network_of(plan.default_arch, "pocket")
        return plan
