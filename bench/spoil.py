"""Ten ways to spoil a scan, at three strengths, for `bench/statement.py`.

Each way takes a scan, its reference, a strength (0, 1, 2) and random numbers, and returns image, reference and spacing.
The reference is that of the picture: it is mirrored with a mirrored image. Of a cropped image it keeps the whole organ,
so that the part that was cut off counts as missed. It is empty for another organ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, zoom


@dataclass(frozen=True)
class Sample:
    """A scan: image (x, y, z, channel) and reference (x, y, z) in RAS+, spacing in mm, and what the network is given.

    Attributes:
        image, reference, spacing: The scan.
        window: The part of the image that is given to the network, as (start, stop) per axis.
    """

    image: np.ndarray
    reference: np.ndarray
    spacing: tuple[float, ...]
    window: tuple[tuple[int, int], ...]


Way = Callable[[Sample, int, np.random.Generator], Sample]


def ghosts(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
    """Copies of the image, shifted along one axis, as of periodic motion."""
    axis, share = int(random.integers(2)), (0.2, 0.4, 0.7)[strength]
    shifted = sum(np.roll(sample.image, round(sample.image.shape[axis] * part), axis) for part in (0.25, 0.5, 0.75)) / 3
    return replace(sample, image=(1 - share) * sample.image + share * shifted)


def noise(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
    """Gaussian noise, relative to the standard deviation of the image."""
    level = (0.3, 0.8, 2.0)[strength] * sample.image.std()
    return replace(sample, image=np.abs(sample.image + random.normal(0, level, sample.image.shape)))


def bias(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
    """A smooth field that multiplies the image, up to a factor of 1.6, 3 and 8 at opposite sides."""
    direction = random.normal(size=3)
    places = np.meshgrid(*[np.linspace(-1, 1, n) for n in sample.image.shape[:3]], indexing="ij")
    field = sum(d * place for d, place in zip(direction, places, strict=True))
    field *= np.log((1.6, 3.0, 8.0)[strength]) / max(1e-6, np.abs(field).max())
    return replace(sample, image=sample.image * np.exp(field)[..., None])


def modality(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
    """Another contrast of the same anatomy: darkened middle tones, inverted, and not monotone."""
    low, high = np.percentile(sample.image, (0.5, 99.5))
    x = np.clip((sample.image - low) / max(high - low, 1e-6), 0, 1)
    changed = (x**3, 1 - x, np.abs(np.sin(2.5 * np.pi * x)))[strength]
    return replace(sample, image=low + changed * (high - low))


def cropped(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
    """The field of view ends within the organ: a third, half and three quarters of its length are cut off."""
    inside = np.argwhere(sample.reference)
    axis = int(np.argmax(np.ptp(inside, axis=0) * np.array(sample.spacing)))
    low, high = int(inside[:, axis].min()), int(inside[:, axis].max()) + 1
    cut = round((high - low) * (1 / 3, 1 / 2, 3 / 4)[strength])
    window = list(sample.window)
    window[axis] = (low + cut, window[axis][1]) if random.integers(2) else (window[axis][0], high - cut)
    return replace(sample, window=tuple(window))


def flipped(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
    """Left and right exchanged; with strength, also upside down, and front to back."""
    axes = tuple(range(strength + 1)) if strength < 2 else (0, 1, 2)
    return replace(sample, image=np.flip(sample.image, axes), reference=np.flip(sample.reference, axes))


def spacing(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
    """A wrong voxel spacing in the header."""
    factor = (1.5, 2.0, 3.0)[strength]
    return replace(sample, spacing=tuple(mm * factor for mm in sample.spacing))


def blur(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
    """A Gaussian of 1, 2 and 4 voxels."""
    sigma = (1.0, 2.0, 4.0)[strength]
    through = sigma if sample.image.shape[2] > 20 else 0
    return replace(sample, image=gaussian_filter(sample.image, (sigma, sigma, through, 0)))


def missing(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
    """Some slices are empty: a fifth, two fifths and three fifths."""
    image, depth = sample.image.copy(), sample.image.shape[2]
    lost = random.choice(depth, max(1, round(depth * (0.2, 0.4, 0.6)[strength])), replace=False)
    image[:, :, lost] = 0
    return replace(sample, image=image)


def another(sources: Sequence[np.ndarray]) -> Way:
    """An image of another organ, of the same size; the strength chooses the source, (x, y, z, channel)."""
    def way(sample: Sample, strength: int, random: np.random.Generator) -> Sample:
        source = sources[strength % len(sources)]
        shape = sample.image.shape[:3]
        grown = [max(1.0, n / m) for n, m in zip(shape, source.shape, strict=False)]
        if max(grown) > 1:
            source = zoom(source, (*grown, 1), order=1)
        start = [int(random.integers(max(1, m - n + 1))) if axis < 2 else max(0, (m - n) // 2)
                 for axis, (n, m) in enumerate(zip(shape, source.shape, strict=False))]
        part = source[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))]
        return replace(sample, image=part.astype(np.float32), reference=np.zeros_like(sample.reference))

    return way


def ways(sources: Sequence[np.ndarray]) -> dict[str, Way]:
    """Return the ten ways by name."""
    return {"motion ghosts": ghosts, "noise": noise, "bias field": bias, "wrong modality": modality,
            "cropped organ": cropped, "flipped": flipped, "wrong spacing": spacing, "another organ": another(sources),
            "blur": blur, "missing slices": missing}
