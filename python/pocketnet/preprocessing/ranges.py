"""Warn about images that differ from the images that a network was trained on.

The ranges of the fold's training cases (`contracts.ranges`) are widened as `limits` describes. An image outside these
limits is still segmented or classified, but the user gets a warning with the value and the range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ..contracts.ranges import ModalityRanges, Spread, TrainingRanges
from ..text import counted
from .image import Channel

SAMPLE = 2**20
"""Approximate number of voxels to measure per image."""
SHARE, FEW = 0.1, 5.0
"""A range is widened on both sides by (SHARE + FEW / training cases) of its width, plus one of the next three."""
FACTOR = 1.25
"""Factor for spacing and field of view."""
INTENSITY_FACTOR = 1.5
"""Factor for intensities in the image's units if all training values are positive."""
DEVIATIONS = 0.25
"""Standard deviations for intensities relative to mean and standard deviation, and share of the usual span (p0_5 to
p99_5) for intensities in the image's units that may be negative."""
IN_UNITS = {"p0_5": "0.5th percentile", "median": "median", "p99_5": "99.5th percentile"}
STANDARDISED = {"low": "0.5th percentile", "middle": "median", "high": "99.5th percentile"}


@dataclass(frozen=True)
class Measured:
    """Intensities over the non-zero voxels of an image, in its units; see `contracts.fingerprint.Intensities`."""

    mean: float
    std: float
    p0_5: float
    median: float
    p99_5: float

    def standardised(self) -> dict[str, float]:
        """Return the `low`, `middle` and `high` of `ModalityRanges`; all 0 if the voxels are equal."""
        numbers = (self.p0_5, self.median, self.p99_5)
        return {name: (value - self.mean) / self.std if self.std else 0.0
                for name, value in zip(STANDARDISED, numbers, strict=True)}


def measure(image: np.ndarray) -> Measured:
    """Measure the non-zero voxels of an image of any shape; if there are none, everything is 0."""
    values = image[image != 0].astype(np.float64)
    if not values.size:
        return Measured(0.0, 0.0, 0.0, 0.0, 0.0)
    low, median, high = np.percentile(values, (0.5, 50, 99.5))
    return Measured(float(values.mean()), float(values.std()), float(low), float(median), float(high))


def measure_channel(channel: Channel) -> Measured:
    """Measure about `SAMPLE` voxels of a channel, evenly spaced along all axes."""
    step = max(1, math.ceil((channel.raw.size / SAMPLE) ** (1 / 3)))
    return measure(channel.read(tuple(slice(None, None, min(step, n)) for n in channel.raw.shape)))


def joined(ranges: Sequence[TrainingRanges]) -> TrainingRanges:
    """Return the union of the ranges of several networks, for an ensemble of folds."""
    first = ranges[0]
    return TrainingRanges(
        max(one.cases for one in ranges), _joined_axes([one.spacing_mm for one in ranges]),
        _joined_axes([one.extent_mm for one in ranges]),
        tuple(ModalityRanges(modality.modality, **{
            name: _joined([getattr(one.intensities[index], name) for one in ranges])
            for name in (*IN_UNITS, *STANDARDISED)}) for index, modality in enumerate(first.intensities)))


def _joined_axes(axes: Sequence[Sequence[Spread]]) -> tuple[Spread, ...]:
    return tuple(_joined(spreads) for spreads in zip(*axes, strict=True))


def _joined(spreads: Sequence[Spread]) -> Spread:
    return Spread(min(one.minimum for one in spreads), float(np.median([one.median for one in spreads])),
                  max(one.maximum for one in spreads))


def unlike_in_intensity(ranges: TrainingRanges, found: Sequence[Measured]) -> list[str]:
    """Return a warning for each modality whose intensities are outside the limits of the training images.

    Args:
        ranges: Ranges of the training images.
        found: Measured intensities per modality.
    """
    return [f"{modality.modality}: intensities unlike those of the {_count(ranges)}: {'; '.join(words)}"
            for modality, one in zip(ranges.intensities, found, strict=True)
            if (words := list(_unlike(modality, one, ranges.cases)))]


def _unlike(modality: ModalityRanges, found: Measured, cases: int) -> Iterator[str]:
    span = modality.p99_5.median - modality.p0_5.median
    for name, words in IN_UNITS.items():
        seen, value = getattr(modality, name), asdict(found)[name]
        low, high = limits(seen, cases, INTENSITY_FACTOR) if seen.minimum > 0 else \
            _widened(seen, cases, DEVIATIONS * span)
        if name == "p0_5" and seen.minimum > 0:
            low = 0.0  # only a negative value is unusual
        if not low <= value <= high:
            yield f"{words} {_text(value)} (in training {_range(seen)})"
    standardised = found.standardised()
    for name, words in STANDARDISED.items():
        seen, value = getattr(modality, name), standardised[name]
        low, high = _widened(seen, cases, DEVIATIONS)
        if not low <= value <= high:
            yield f"{words} {_text(value)} standard deviations from the mean (in training {_range(seen)})"


def unlike_in_geometry(ranges: TrainingRanges, shape: Sequence[int], spacing: Sequence[float]) -> list[str]:
    """Return warnings if the spacing or the field of view is outside the limits of the training images.

    Args:
        ranges: Ranges of the training images.
        shape: Voxels per RAS+ axis.
        spacing: mm per RAS+ axis.
    """
    extent = [n * mm for n, mm in zip(shape, spacing, strict=True)]
    return [f"{what} unlike that of the {_count(ranges)}: {' × '.join(map(_text, found))} mm (in training "
            f"{' × '.join(map(_range, seen))} mm)"
            for what, found, seen in (("voxel spacing", spacing, ranges.spacing_mm),
                                      ("field of view", extent, ranges.extent_mm))
            if not all(_inside(value, one, ranges.cases) for value, one in zip(found, seen, strict=True))]


def too_small(ranges: TrainingRanges, shape: Sequence[int]) -> list[str]:
    """Return a warning if an image has far fewer rows or columns than the training images.

    A larger image is not unusual, because images are resized.
    """
    if all(n >= limits(seen, ranges.cases, FACTOR)[0] for n, seen in zip(shape, ranges.extent_mm, strict=True)):
        return []
    return [f"fewer pixels than the {_count(ranges)}: {' × '.join(map(str, shape))} (in training "
            f"{' × '.join(map(_range, ranges.extent_mm))})"]


def limits(seen: Spread, cases: int, factor: float) -> tuple[float, float]:
    """Return the limits of a positive number: its range in training, widened on a logarithmic scale.

    Args:
        seen: Its range in training.
        cases: Number of training cases. Few cases show only a part of the true range.
        factor: Factor by which each limit is moved outwards.
    """
    width = min(700.0, (math.log(seen.maximum) - math.log(seen.minimum)) * (SHARE + FEW / cases))
    return seen.minimum / factor / math.exp(width), seen.maximum * factor * math.exp(width)


def _widened(seen: Spread, cases: int, more: float) -> tuple[float, float]:
    """Return the limits of a number of any sign, widened on a linear scale."""
    more += (seen.maximum - seen.minimum) * (SHARE + FEW / cases)
    return seen.minimum - more, seen.maximum + more


def _inside(value: float, seen: Spread, cases: int) -> bool:
    low, high = limits(seen, cases, FACTOR)
    return low <= value <= high


def _count(ranges: TrainingRanges) -> str:
    return counted(ranges.cases, "training image")


def _range(seen: Spread) -> str:
    low, high = _text(seen.minimum), _text(seen.maximum)
    return low if low == high else f"{low} to {high}"


def _text(value: float) -> str:
    """Format a number with three significant digits, or as a whole number from 1000."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(values: Iterable[float]) -> Spread:
    """Return the minimum, median and maximum of numbers, with seven significant digits."""
    array = np.fromiter(values, float)
    return Spread(*(float(f"{value:.7g}") for value in (array.min(), np.median(array), array.max())))
