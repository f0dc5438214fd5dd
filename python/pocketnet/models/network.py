"""What defines a network: read by the builders, the counts, the plan and the profile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .widths import parse_width

ARCHITECTURES: dict[str, dict] = json.loads((Path(__file__).parent / "architectures.json").read_text(encoding="utf-8"))
"""The registration of every architecture, by name; the pipeline reads the same file.

`title` as people write it, `task`, `builder` (a key of `build.BUILDERS`), for the encoder-decoder its `block` and
`downsample` (functions of `blocks`), and as `paper` the shape that the paper counted (its text says 32 first feature
maps for the classifier, too; 16 give its count).
"""
PAPER_SHAPES = {name: entry["paper"] for name, entry in ARCHITECTURES.items()}
NORMS = ("batch", "instance", "none")
SKIPS = ("concatenate", "add")
CONVOLUTIONS = ("standard", "separable")
ACTIVATIONS = ("relu", "leaky_relu")


def check_arch(name: str) -> str:
    """Give back the name of an architecture that there is.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"Unknown architecture '{name}'.", todo=f"Use one of {', '.join(ARCHITECTURES)}.")
    return name


@dataclass(frozen=True)
class Network:
    """A segmentation network.

    Attributes:
        arch: Backbone, one of `ARCHITECTURES`.
        width: Width policy as text, see `widths.parse_width`.
        dimensions: 2 or 3.
        channels: Input channels (modalities).
        classes: Output channels, background included.
        depth: Number of downsamplings.
        feature_maps: Feature maps of the finest level.
        pooling: Per downsampling a factor per axis; empty for 2 everywhere.
        norm: Normalisation layer, one of `NORMS`.
        skip: `concatenate`, or `add` as in the paper's Algorithm 1; HRNet has none.
        convolution: `standard` or `separable` (depthwise, then pointwise).
        activation: After a normalisation of the U-Net's and the classifier's blocks, one of `ACTIVATIONS`; the others
            have the PReLU that their counts need.

    Raises:
        UsageError: A value is not one that a network can be built from.
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

    def __post_init__(self):
        check_arch(self.arch)
        parse_width(self.width)
        if self.dimensions not in (2, 3):
            raise UsageError(f"A network has 2 or 3 dimensions. Received: {self.dimensions}")
        for name in ("channels", "classes", "feature_maps"):
            if getattr(self, name) < 1:
                raise UsageError(f"A network needs at least 1 of {name}. Received: {getattr(self, name)}")
        if self.depth < 0:
            raise UsageError(f"The depth cannot be negative. Received: {self.depth}")
        if self.norm not in NORMS:
            raise UsageError(f"Unknown normalisation layer '{self.norm}'.", todo=f"Use one of {', '.join(NORMS)}.")
        if self.skip not in SKIPS:
            raise UsageError(f"Unknown skip '{self.skip}'.", todo=f"Use one of {', '.join(SKIPS)}.")
        if self.convolution not in CONVOLUTIONS:
            raise UsageError(f"Unknown convolution '{self.convolution}'.",
                             todo=f"Use one of {', '.join(CONVOLUTIONS)}.")
        if self.activation not in ACTIVATIONS:
            raise UsageError(f"Unknown activation '{self.activation}'.",
                             todo=f"Use one of {', '.join(ACTIVATIONS)}.")
        pooling = self.pooling or ((2,) * self.dimensions,) * self.depth
        object.__setattr__(self, "pooling", tuple(tuple(int(f) for f in factors) for factors in pooling))
        if len(self.pooling) != self.depth or any(len(f) != self.dimensions for f in self.pooling):
            raise UsageError(
                f"Pooling needs a factor per axis for each of {self.depth} downsamplings in "
                f"{self.dimensions}D. Received: {self.pooling}"
            )

    @property
    def divisor(self) -> tuple[int, ...]:
        """What the patch must be divisible by, per axis."""
        product = [1] * self.dimensions
        for factors in self.pooling:
            product = [p * f for p, f in zip(product, factors, strict=True)]
        return tuple(product)

    def check_patch(self, patch: tuple[int, ...]) -> None:
        """Refuse a patch that the pooling does not divide.

        Raises:
            UsageError: Names the nearest sizes that work.
        """
        if len(patch) != self.dimensions:
            raise UsageError(f"The patch {tuple(patch)} has {len(patch)} axes, the network {self.dimensions}.")
        if any(size < 1 or size % d for size, d in zip(patch, self.divisor, strict=True)):
            nearest = [max(d, round(size / d) * d) for size, d in zip(patch, self.divisor, strict=True)]
            raise UsageError(
                f"The patch {tuple(patch)} cannot be halved {self.depth} times: each side must be a multiple "
                f"of {self.divisor}.",
                todo=f"Use {','.join(map(str, nearest))}, or a smaller depth.",
            )
