"""The definition of a network, as used by the builders, the counts, the plan and the profile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .pooling import divisor, everywhere
from .widths import parse_width

ARCHITECTURES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "architectures.json").read_text(encoding="utf-8"))
"""All architectures by name. The pipeline reads the same file.

Each entry has a display `title`, its `task`, its `builder` (a key of `build.BUILDERS`), for the encoder-decoder its
`block` and `downsample` (functions in `blocks`), and under `paper` the configuration that the paper counted. (For the
classifier, the paper's text states 32 first feature maps, but its count requires 16.)
"""
PAPER_SHAPES = {name: entry["paper"] for name, entry in ARCHITECTURES.items()}
NORMS = ("batch", "instance", "none")
SKIPS = ("concatenate", "add")
CONVOLUTIONS = ("standard", "separable")
ACTIVATIONS = ("relu", "leaky_relu")
HEADS = SOFTMAX, SIGMOID = ("softmax", "sigmoid")


def check_arch(name: str) -> str:
    """Return `name` if an architecture of that name exists.

    Raises:
        UsageError: No architecture has that name.
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"Unknown architecture '{name}'.", todo=f"Use one of {', '.join(ARCHITECTURES)}.")
    return name


@dataclass(frozen=True)
class Network:
    """A network to build.

    Attributes:
        arch: Backbone, one of `ARCHITECTURES`.
        width: Width policy as text; see `widths.parse_width`.
        dimensions: 2 or 3.
        channels: Input channels (modalities).
        classes: Output channels, including the background.
        depth: Number of downsamplings.
        feature_maps: Number of feature maps at the finest level.
        pooling: For each downsampling, a factor per axis; empty means 2 everywhere.
        norm: Normalisation layer, one of `NORMS`.
        skip: `concatenate`, or `add` as in the paper's Algorithm 1. HRNet has no skip connections.
        convolution: `standard` or `separable` (depthwise, then pointwise).
        activation: Activation of the U-Net's and the classifier's blocks, one of `ACTIVATIONS`. The other architectures
            always have PReLU, because their parameter counts require it.
        kernel: Voxels per axis of the convolutions' kernels, 3 or 1; empty means 3 everywhere. A 2D network for the
            slices of volumes has 1 along one of three axes: it never joins slices, and has exactly the parameters of
            a network with `dimensions` 2.
        head: Last layer, one of `HEADS`: a softmax over classes that exclude each other, or a sigmoid for each of
            several classes that overlap.

    Raises:
        UsageError: No network can be built from one of the values.
    """

    arch: str = "unet"
    width: str = "pocket"
    dimensions: int = 3
    channels: int = 1
    classes: int = 2
    depth: int = 5
    feature_maps: int = 32
    pooling: tuple[tuple[int, ...], ...] = ()
    norm: str = "batch"
    skip: str = "concatenate"
    convolution: str = "standard"
    activation: str = "relu"
    head: str = SOFTMAX
    kernel: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_arch(self.arch)
        parse_width(self.width)
        if self.dimensions not in (2, 3):
            raise UsageError(f"A network has 2 or 3 dimensions. Received: {self.dimensions}")
        for name in ("channels", "classes", "feature_maps"):
            if getattr(self, name) < 1:
                raise UsageError(f"`{name}` must be at least 1. Received: {getattr(self, name)}")
        if self.depth < 0:
            raise UsageError(f"The depth cannot be negative. Received: {self.depth}")
        if self.norm not in NORMS:
            raise UsageError(f"Unknown normalisation layer '{self.norm}'.", todo=f"Use one of {', '.join(NORMS)}.")
        if self.skip not in SKIPS:
            raise UsageError(f"Unknown skip connection '{self.skip}'.", todo=f"Use one of {', '.join(SKIPS)}.")
        if self.convolution not in CONVOLUTIONS:
            raise UsageError(f"Unknown convolution '{self.convolution}'.",
                             todo=f"Use one of {', '.join(CONVOLUTIONS)}.")
        if self.activation not in ACTIVATIONS:
            raise UsageError(f"Unknown activation '{self.activation}'.",
                             todo=f"Use one of {', '.join(ACTIVATIONS)}.")
        if self.head not in HEADS:
            raise UsageError(f"Unknown head '{self.head}'.", todo=f"Use one of {', '.join(HEADS)}.")
        pooling = self.pooling or everywhere(self.dimensions, self.depth)
        object.__setattr__(self, "pooling", tuple(tuple(int(f) for f in factors) for factors in pooling))
        if len(self.pooling) != self.depth or any(len(f) != self.dimensions for f in self.pooling):
            raise UsageError(
                f"Pooling needs {self.dimensions} factors for each of {self.depth} downsamplings. "
                f"Received: {self.pooling}"
            )

        object.__setattr__(self, "kernel", tuple(map(int, self.kernel)) or (3,) * self.dimensions)
        if len(self.kernel) != self.dimensions or not set(self.kernel) <= {1, 3} or self.kernel.count(3) < 2:
            raise UsageError(f"A kernel needs {self.dimensions} sides of 3, of which one of three may be 1. "
                             f"Received: {self.kernel}")
        if any(side == 1 and any(factors[axis] > 1 for factors in self.pooling)
               for axis, side in enumerate(self.kernel)):
            raise UsageError(f"An axis whose kernel is 1 cannot be halved. Received: kernel {self.kernel}, pooling "
                             f"{self.pooling}")

    @property
    def divisor(self) -> tuple[int, ...]:
        """The number that must divide the patch, per axis."""
        return divisor(self.pooling, self.dimensions)

    def check_patch(self, patch: tuple[int, ...]) -> None:
        """Refuse a patch that the divisor does not divide.

        Raises:
            UsageError: The patch does not fit; the message names the nearest sizes that do.
        """
        if len(patch) != self.dimensions:
            raise UsageError(f"The patch {tuple(patch)} has {len(patch)} axes; the network needs {self.dimensions}.")
        if any(size < 1 or size % d for size, d in zip(patch, self.divisor, strict=True)):
            nearest = [max(d, round(size / d) * d) for size, d in zip(patch, self.divisor, strict=True)]
            raise UsageError(
                f"The patch {tuple(patch)} cannot be halved {self.depth} times: each side must be a multiple "
                f"of {self.divisor}.",
                todo=f"Use {','.join(map(str, nearest))}, or a smaller depth.",
            )
