"""Predict the windows of one case, and measure the time of each part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from ..contracts.case import Statistics
from ..contracts.features import CaseFeatures
from ..contracts.labels import overlapping
from ..contracts.plan import Plan
from . import ensemble, memory
from .windows import Tiling, WindowSpan

if TYPE_CHECKING:
    from . import engines

Sink = Callable[[tuple[slice, ...], np.ndarray], None]
"""Receives the position of a slab on the case's own grid, in RAS+, and its probabilities (x, y, planes, classes)
float32, valid until the call returns. Voxels outside the crop are background and are not passed."""


@dataclass
class Segmentation:
    """The segmentation of a case, in RAS+ on the case's own grid.

    Attributes:
        classes: (x, y, z) uint8, 0 is background.
        uncertainty: (x, y, z) uint8, 255 times `ensemble.disagreement`; None for a single prediction.
        window: Window size in voxels per axis.
        windows: Number of windows, and number of them that were empty and skipped.
        seconds: Time by part: `preparing` (crop box and statistics), `starting` (the engine), `resampling` (and cutting
            windows), `network`, `merging` (and resampling back), `describing` (the features), `components`.
        need: Predicted memory.
        features: Features of the prediction, if they were asked for.
    """

    classes: np.ndarray
    uncertainty: np.ndarray | None
    window: tuple[int, ...]
    windows: tuple[int, int]
    seconds: dict[str, float] = field(default_factory=dict)
    need: memory.Need | None = None
    features: CaseFeatures | None = None


class Clock:
    """Measure seconds by part of the work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, part: str) -> None:
        """Add the time since the last lap to a part."""
        now = perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now


class Planes(Protocol):
    """A cropped and resampled image, not yet normalised, that is read plane by plane."""

    @property
    def statistics(self) -> Sequence[Statistics]:
        """Statistics for the normalisation; empty for `window`."""

    def planes(self, start: int, stop: int) -> np.ndarray:
        """Return the planes from `start` to `stop` along z, (x, y, planes, channel) float32."""


class CasePrediction:
    """Read the windows of one case, one layer at a time, and let each member predict them.

    Args:
        plan: The plan of the models.
        members: The members of the ensemble.
        prepared: The case.
        tiling: Its windows.
        skip: Whether all-zero windows count as background without prediction.
        clock: Measures the parts.

    Attributes:
        members: Functions for `merge.merge`: each returns a member's share of a window's prediction.
        channels: Number of channels of these: the classes, and the entropy if there are several predictions.
        skipped: Number of empty windows that were skipped.
        prepared, clock: As given.
    """

    def __init__(self, plan: Plan, members: Sequence[ensemble.Member], prepared: Planes, tiling: Tiling,
                 skip: bool, clock: Clock):
        several = members[0].of > 1
        self.channels = plan.network.classes + several
        self.prepared, self.clock, self._tiling = prepared, clock, tiling
        self._first: int | None = None
        self._layer: np.ndarray | None = None
        self._skip = skip
        self._background = np.zeros(self.channels, np.float32)
        if not overlapping(plan.labels):
            self._background[0] = 1 / len(members)
        self._engine: engines.Engine | None = None
        self.skipped = 0
        self.members = [self._predict(member) for member in members]

    def _predict(self, member: ensemble.Member) -> Callable[[tuple[WindowSpan, ...]], np.ndarray]:
        def predict(window: tuple[WindowSpan, ...]) -> np.ndarray:
            self.clock.lap("merging")
            inside = self._read(window)
            self.clock.lap("resampling")
            if self._skip and not inside.any():
                self.skipped += 1
                return np.broadcast_to(self._background, (*self._tiling.window, self._background.size))
            if self._engine not in (None, member.engine):
                self._engine.release()
            self._engine = member.engine
            pad = [(max(0, -p.start), max(0, p.start + side - n)) for p, side, n in
                   zip(window, self._tiling.window, self._tiling.shape, strict=True)]
            out = member(inside, self.prepared.statistics, pad)
            self.clock.lap("network")
            return out

        return predict

    def _read(self, window: tuple[WindowSpan, ...]) -> np.ndarray:
        """Return the part of a window inside the volume, (x, y, z, channel), not normalised."""
        last = window[2]
        low, high = max(0, last.start), min(self._tiling.shape[2], last.start + self._tiling.window[2])
        if self._first != low:
            self._layer = None  # frees it before the next layer is read
            self._first, self._layer = low, self.prepared.planes(low, high)
        across = tuple(slice(max(0, p.start), max(0, p.start + side))
                       for p, side in zip(window[:2], self._tiling.window[:2], strict=True))
        return cast(np.ndarray, self._layer)[across]
