"""Predict the memory of a case before its first window, and choose windows that fit the limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..contracts.plan import Plan
from ..errors import DeviceMemoryError, UsageError
from ..preprocessing.scan import PART_BYTES, PreparedScan
from . import windows
from .options import SPARSE_OVERLAP
from .windows import Tiling

DEFAULT_MIB = 3584
"""Default memory limit in MiB, exceeded only if the smallest windows need more."""
START_MIB = 260
"""Memory of the interpreter and its libraries, including OpenVINO."""
RELEASE_VOXELS = 2**25
"""With more voxels, the networks are released before the search for components, and recompiled for the next case."""
COMPONENT_BYTES = 7
"""Bytes per voxel in the search for components: mask, copy of the mask, 32-bit numbers and their runs."""
KEPT_MIB = 256
"""Maximum memory of the networks that are compiled for the windows of earlier cases and kept for later ones."""
WINDOW_VOXELS = tuple(round(2**(exponent / 2)) for exponent in range(46, 25, -1))
"""Maximum voxels per window to try, in decreasing order from 8,388,608."""
UNITS = {"k": 2**-10, "m": 1.0, "g": 2.0**10, "t": 2.0**20}


@dataclass(frozen=True)
class Need:
    """Memory of a case in MiB, by part.

    Attributes:
        start: The interpreter and its libraries.
        images: The voxels of the images, and the label map.
        layer: The planes of one layer of windows: the image and the merged predictions.
        network: One window: its activations, input and output.
        parts: Buffers of the passes over planes.
        reading: Decompression of the files, which holds their voxels twice. It ends before the other parts begin.
        components: The search for components, after the layers are freed; includes the network if kept.
        kept: Networks that are compiled for the windows of other cases.
    """

    start: float
    images: float
    layer: float
    network: float
    parts: float
    reading: float
    components: float = 0.0
    kept: float = 0.0

    @property
    def mib(self) -> int:
        """Peak memory of the process, rounded up."""
        working = self.images + self.layer + self.network + self.parts
        return math.ceil(self.start + self.kept + max(self.reading, working, self.images + self.components))


@dataclass(frozen=True)
class Extent:
    """The size of a case.

    Attributes:
        shape: Voxels per axis that the windows cover.
        channels: Number of input channels.
        source_voxels: Voxels of the images.
        source_bytes: Bytes of the images' voxels.
    """

    shape: tuple[int, ...]
    channels: int
    source_voxels: int
    source_bytes: int

    @classmethod
    def of(cls, prepared: PreparedScan) -> Extent:
        """Return the size of a scan."""
        scan = prepared.scan
        return cls(prepared.shape, len(scan.channels), math.prod(scan.shape), scan.nbytes)


def tilings(plan: Plan, shape: tuple[int, ...], choice: str, zero_border: bool) -> list[Tiling]:
    """Return the tilings of a volume, in order of preference.

    Args:
        plan: The plan of the network.
        shape: Voxels of the volume.
        choice: `plan`, `sparse`, `large` or `padded` (`Options.windows`).
        zero_border: Whether zero is background and fills most of the volume's faces.
    """
    patch, sigma, overlap = plan.training.patch, plan.inference.gaussian_sigma, plan.inference.overlap
    if choice not in ("large", "padded"):
        return [windows.overlapping(shape, patch, min(SPARSE_OVERLAP, overlap) if choice == "sparse" else overlap,
                                    sigma)]
    return list(dict.fromkeys(
        windows.large(shape, patch, plan.network.divisor, most, sigma, zero_border or choice == "padded")
        for most in WINDOW_VOXELS))


def need(extent: Extent, tiling: Tiling, channels: int, activation_mib: float, postprocessed: bool = False) -> Need:
    """Predict the memory of a case.

    Args:
        extent: The size of the case.
        tiling: Its windows.
        channels: Number of channels of a window's prediction.
        activation_mib: Memory of the network's activations for this window, in MiB.
        postprocessed: Whether the label map is postprocessed, which searches for components.
    """
    plane, inputs = math.prod(extent.shape[:2]), extent.channels
    layer = plane * (min(tiling.window[2], extent.shape[2]) * inputs + tiling.depth * (channels + 1)) * 4
    window = math.prod(tiling.window) * (3 * inputs + 3 * channels) * 4
    voxels, of_images = extent.source_voxels, extent.source_bytes
    network = activation_mib + window / 2**20
    components = COMPONENT_BYTES * voxels / 2**20 + (0 if voxels > RELEASE_VOXELS else network)
    return Need(START_MIB, (of_images + voxels) / 2**20, layer / 2**20, network, 3 * PART_BYTES / 2**20,
                2.2 * of_images / 2**20, components if postprocessed else 0.0)


def fitting(tilings: list[Tiling], need_of: Callable[[Tiling], Need], limit_mib: float | None,
            case: str) -> tuple[Tiling, Need]:
    """Return the first tiling that fits the limit, and its memory.

    Args:
        tilings: Tilings in order of preference.
        need_of: Predicts the memory of a tiling.
        limit_mib: Hard limit in MiB. None for `DEFAULT_MIB`; if no tiling fits that, the smallest is returned.
        case: Name of the case for messages.

    Raises:
        DeviceMemoryError: No tiling fits `limit_mib`; the error names the smallest limit that works.
    """
    needs = [need_of(tiling) for tiling in tilings]
    for tiling, wanted in zip(tilings, needs, strict=True):
        if wanted.mib <= (DEFAULT_MIB if limit_mib is None else limit_mib):
            return tiling, wanted
    least = min(range(len(needs)), key=lambda index: needs[index].mib)
    if limit_mib is None:
        return tilings[least], needs[least]
    mib = needs[least].mib
    raise DeviceMemoryError(f"This case does not fit into --max-memory {limit_mib:.0f}M: it takes at least {mib} MiB.",
                            where=case, todo=f"Use --max-memory {mib}M or more.")


def parse_size(text: str) -> float:
    """Convert `2G`, `1500M` or `1500` (MiB) to MiB.

    Raises:
        UsageError: The text is not a positive size.
    """
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "m")
    try:
        value = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        value = 0.0
    if not 0 < value < math.inf:
        raise UsageError(f"Expected a size such as 2G or 1500M. Received: {text}", where="--max-memory")
    return value
