"""The plan: frozen dataclasses, written to and read from `plan.json`.

The plan is independent of network width and fold: these fan out over one plan, so that full and pocket
are trained by exactly the same one.
"""

from __future__ import annotations

import types
import typing
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from . import files
from .errors import UsageError
from .models.network import ARCHITECTURES, Network

T = TypeVar("T")

OPTIMIZERS = ("adam", "adamw")
LOSS_NAMES = ("l2_dice", "dice_cross_entropy", "cross_entropy")
SCHEDULES = ("plateau", "polynomial", "cosine")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
SEGMENTATION, CLASSIFICATION = TASKS = ("segmentation", "classification")


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


@dataclass(frozen=True)
class Label:
    """A class of the task.

    Attributes:
        name: As people call it.
        value: Its value in our label maps, 1…K; in a classification its index, 0…K-1.
        source_values: The values of the dataset's label maps that belong to it.
    """

    name: str
    value: int
    source_values: tuple[int, ...]


@dataclass(frozen=True)
class Preprocessing:
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

    crop: str = "nonzero"
    spacing_mm: tuple[float, ...] | None = None
    normalisation: str = "zscore"
    size: tuple[int, ...] | None = None


@dataclass(frozen=True)
class NetworkPlan:
    """What the networks have in common; architecture and width are added per training."""

    dimensions: int
    channels: int
    classes: int
    depth: int
    feature_maps: int
    pooling: tuple[tuple[int, ...], ...]
    norm: str
    skip: str
    convolution: str = "standard"
    activation: str = "relu"

    def network(self, arch: str, width: str) -> Network:
        """The network of one architecture and width."""
        return Network(arch=arch, width=width, **{f.name: getattr(self, f.name) for f in fields(self)})


@dataclass(frozen=True)
class Augmentation:
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

    flip: float
    noise: float
    blur: float
    noise_sd: tuple[float, float] | None = (0.0, 0.1)
    blur_sigma: tuple[float, float] | None = (0.5, 1.0)
    flip_axes: tuple[int, ...] | None = None
    rotation: float = 0.0
    rotation_degrees: tuple[float, float] = (-15.0, 15.0)
    scaling: float = 0.0
    scaling_range: tuple[float, float] = (0.85, 1.2)
    elastic: float = 0.0
    elastic_sd_mm: tuple[float, float] = (0.0, 2.0)
    elastic_spacing_mm: float = 16.0
    brightness: float = 0.0
    brightness_range: tuple[float, float] = (0.75, 1.25)
    contrast: float = 0.0
    contrast_range: tuple[float, float] = (0.75, 1.25)
    gamma: float = 0.0
    gamma_range: tuple[float, float] = (0.7, 1.5)

    def off(self) -> Augmentation:
        """The same with every probability 0."""
        return replace(self, **dict.fromkeys(AUGMENTATIONS, 0.0))


AUGMENTATIONS = ("flip", "noise", "blur", "rotation", "scaling", "elastic", "brightness", "contrast", "gamma")
"""The probabilities of `Augmentation`."""


BEST, LAST = "best", "last"


@dataclass(frozen=True)
class Training:
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

    patch: tuple[int, ...]
    batch: int
    epochs: int
    steps_per_epoch: int
    loss: str
    optimizer: str
    learning_rate: float
    plateau_factor: float
    plateau_patience: int
    clip_norm: float | None
    foreground_fraction: float
    augmentation: Augmentation
    precision: str = "float32"
    schedule: str = "plateau"
    checkpoint: str = BEST
    average_decay: float | None = None
    weight_decay: float = 0.0
    warm_up_steps: int = 0
    deep_supervision: bool = False
    accumulate: int = 1
    rematerialise: bool = False

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True)
class Inference:
    """How a trained network is applied (paper, Section II-B4).

    Attributes:
        overlap: Share of a patch side by which windows overlap.
        gaussian_sigma: Standard deviation of a window's importance weight as a share of its side.
        largest_component: Keep the largest connected component of each label only.
        mirrored: Average over mirrored images, too, along the axes that training mirrors.
    """

    overlap: float
    gaussian_sigma: float
    largest_component: bool
    mirrored: bool = False


@dataclass(frozen=True)
class Plan:
    """Everything that a training and an inference of a dataset have in common."""

    dataset: str
    recipe: str
    seed: int
    modalities: tuple[str, ...]
    labels: tuple[Label, ...]
    preprocessing: Preprocessing
    network: NetworkPlan
    training: Training
    inference: Inference
    task: str = SEGMENTATION

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

    def write(self, path: str | Path) -> None:
        """Write `plan.json`, whole or not at all."""
        files.write_json(path, to_json(self), "plan")

    @classmethod
    def read(cls, path: str | Path) -> Plan:
        """Read and check a `plan.json`.

        Raises:
            DataError: It does not validate.
            UsageError: It is not there, or its network or patch cannot be built.
        """
        plan = from_json(cls, files.read_json(path, "plan"))
        plan.network_of(plan.default_arch, "pocket")
        return plan


def read_preprocessing(path: str | Path) -> Preprocessing:
    """The `preprocessing` section of a plan, all that the preprocess step depends on.

    A file that holds this section only is enough: the pipeline passes such a one, so that a change of the
    batch does not preprocess anything again.
    """
    import json

    value = json.loads(Path(path).read_text(encoding="utf-8"))
    files.validate_part(value.get("preprocessing"), "plan", "preprocessing", path)
    return from_json(Preprocessing, value["preprocessing"])


def to_json(value: Any) -> dict:
    """A dataclass as a JSON object (tuples become lists)."""
    return _plain(asdict(value))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def from_json(kind: type[T], value: dict) -> T:
    """A dataclass from a JSON object that its schema has already checked; other keys are left out."""
    hints = typing.get_type_hints(kind)
    return kind(**{f.name: _convert(hints[f.name], value[f.name]) for f in fields(kind) if f.name in value})


def _convert(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _convert(next(a for a in typing.get_args(hint) if a is not type(None)), value)
    if is_dataclass(hint):
        return from_json(hint, value)
    if origin is tuple:
        item = typing.get_args(hint)[0]
        return tuple(_convert(item, v) for v in value)
    return value
