"""How much memory a case takes, known before its first window, and windows that fit into what there is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import DeviceMemoryError, UsageError
from ..preprocessing.scan import PART_BYTES, PreparedScan
from .windows import Tiling

DEFAULT_MIB = 3584
"""What is kept to where nothing else is said, as far as the smallest windows allow it."""
START_MIB = 260
"""The interpreter and its libraries, OpenVINO's included."""
RELEASE_VOXELS = 2**25
"""Of a case whose components take more memory than a network that is kept for the next case is worth."""
COMPONENT_BYTES = 7
"""A voxel of the search for the largest components: a mask, its copy, numbers in 32 bits and lines of them."""
WINDOW_VOXELS = tuple(round(2**(exponent / 2)) for exponent in range(46, 25, -1))
"""Most voxels of a window to try, from 8,388,608 on downwards."""
UNITS = {"k": 2**-10, "m": 1.0, "g": 2.0**10, "t": 2.0**20}


@dataclass(frozen=True)
class Need:
    """What a case takes at its peak, in MiB by part.

    Attributes:
        start: The interpreter and its libraries.
        images: The numbers of the files, and the label map.
        layer: The planes of a layer of windows: the image's and the merged predictions.
        network: One window: its activations, what goes in and what comes out.
        parts: What the passes over planes hold.
        reading: What unzipping the files took, which holds their numbers twice; it is over when the rest begins.
        components: Finding the largest ones, when the layers are gone, and the network where it is not kept.
    """

    start: float
    images: float
    layer: float
    network: float
    parts: float
    reading: float
    components: float = 0.0

    @property
    def mib(self) -> int:
        """In all, rounded up."""
        return math.ceil(self.start + max(self.reading, self.images + self.layer + self.network + self.parts,
                                          self.images + self.components))


def need(prepared: PreparedScan, tiling: Tiling, channels: int, activation_mib: float,
         largest_component: bool = False) -> Need:
    """The memory of a case.

    Args:
        prepared: The case.
        tiling: Where its windows lie.
        channels: Of what a window predicts.
        activation_mib: Of the network for this window.
        largest_component: Whether they are looked for.
    """
    scan = prepared.scan
    plane, inputs = math.prod(prepared.shape[:2]), len(scan.channels)
    layer = plane * (min(tiling.window[2], prepared.shape[2]) * inputs + tiling.depth * (channels + 1)) * 4
    window = math.prod(tiling.window) * (3 * inputs + 3 * channels) * 4
    voxels = math.prod(scan.shape)
    network = activation_mib + window / 2**20
    components = COMPONENT_BYTES * voxels / 2**20 + (0 if voxels > RELEASE_VOXELS else network)
    return Need(START_MIB, (scan.nbytes + voxels) / 2**20, layer / 2**20, network, 3 * PART_BYTES / 2**20,
                2.2 * scan.nbytes / 2**20, components if largest_component else 0.0)


def fitting(tilings: list[Tiling], need_of: Callable[[Tiling], Need], limit_mib: float | None,
            case: str) -> tuple[Tiling, Need]:
    """The first tiling that fits.

    Args:
        tilings: The one to prefer first.
        need_of: Predicts the memory of a tiling.
        limit_mib: What must be kept to; None: `DEFAULT_MIB`, as far as possible.
        case: For messages.

    Raises:
        DeviceMemoryError: None fits; says the smallest limit that works.
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
    """`2G`, `1500M` or `1500` (MiB) to MiB.

    Raises:
        UsageError: Something else.
    """
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "m")
    try:
        value = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        value = 0.0
    if not 0 < value < math.inf:
        raise UsageError(f"Expected a size such as 2G or 1500M. Received: {text}", where="--max-memory")
    return value
