"""Pictures for quality control before training: an overview of a dataset, and training patches.

The colours come from the colour-blind-safe palette of Okabe and Ito. The patient's right is on the left of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ..contracts.fingerprint import Fingerprint
from ..contracts.manifest import Case, Manifest
from ..evaluation.overlay import CLASSES, PLANES, centre, outline, plane_of
from ..files import atomic
from ..preprocessing import geometry
from ..preprocessing.boxes import planes_to_show
from ..preprocessing.label_maps import map_labels
from ..preprocessing.recorded import check_recorded
from ..text import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

USUAL, UNUSUAL = "#7f7f7f", "#d55e00"
MOST_CASES = 12  # in the mosaic
MOST_CURVES = 200  # histograms in one panel
MOST_NAMES = 6
SPACING_FACTOR = 1.5


def unusual_spacing(fingerprint: Fingerprint) -> list[str]:
    """Find cases whose spacing on any axis differs from the median by more than a factor of `SPACING_FACTOR`.

    Args:
        fingerprint: Of the dataset.
    """
    cases = fingerprint.cases
    spacing = np.array([case.spacing_mm for case in cases.values()])
    ratio = spacing / np.median(spacing, axis=0)
    apart = (np.maximum(ratio, 1 / ratio) > SPACING_FACTOR).any(axis=1)
    return [name for name, is_apart in zip(cases, apart, strict=True) if is_apart]


def unusual_intensity(fingerprint: Fingerprint, channel: int) -> list[str]:
    """Find cases whose median intensity differs greatly from that of the other cases.

    The median lies outside the quartiles of all medians by more than three interquartile ranges and, because these may
    be small by chance, also by more than half of a typical case's standard deviation.

    Args:
        fingerprint: The dataset's fingerprint.
        channel: Index of the modality.
    """
    medians = {name: case.intensities[channel].median for name, case in fingerprint.cases.items()}
    low, high = np.percentile(list(medians.values()), [25, 75])
    spread = np.median([fingerprint.cases[name].intensities[channel].std for name in medians])
    reach = max(3 * (high - low), spread / 2)
    return [name for name, value in medians.items() if not low - reach <= value <= high + reach]


def overview(manifest: Manifest, fingerprint: Fingerprint, folder: Path) -> Figure:
    """Draw the spacings, a histogram of each modality, and a mosaic of cases with their labels.

    Args:
        manifest: The manifest of a 3D segmentation.
        fingerprint: The dataset's fingerprint.
        folder: The dataset's folder.

    Raises:
        DataError: A case of the mosaic cannot be read.
    """
    from matplotlib.figure import Figure

    shown = _spread(manifest.cases, MOST_CASES)
    columns = min(6, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(10, 3 + 1.9 * rows), layout="constrained", facecolor="white")
    above, below = cast("tuple[SubFigure, SubFigure]", figure.subfigures(2, 1, height_ratios=[3, 1.9 * rows]))
    panels = above.subplots(1, 1 + len(manifest.modalities), squeeze=False)[0]
    _spacings(panels[0], fingerprint)
    for channel, (axis, name) in enumerate(zip(panels[1:], manifest.modalities, strict=True)):
        _histograms(axis, fingerprint, channel, name)
    tiles = below.subplots(rows, columns, squeeze=False).ravel()
    for axis in tiles:
        axis.set_axis_off()
    for axis, case in zip(tiles, shown, strict=False):
        check_recorded(case, folder, [case.images[0], *([case.label] if case.label else [])])
        image = geometry.read(folder / case.images[0])
        classes = np.zeros(image.data.shape, np.uint8)
        if case.label:
            classes = map_labels(geometry.read(folder / case.label, label=True).data, manifest.labels)
        _tile(axis, image.data, classes, image.spacing, case.case)
    _legend(below, [label.name for label in manifest.labels])
    return figure


def patches(images: np.ndarray, classes: np.ndarray, modalities: Sequence[str], labels: Sequence[str]) -> Figure:
    """Draw normalised and augmented training patches: one column per patch, one row per modality.

    Left and right are not marked, because augmentation may have mirrored a patch.

    Args:
        images: (patch, x, y, z, channel).
        classes: (patch, x, y, z).
        modalities: Name of each channel.
        labels: Name of each class, without the background.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.8 * max(2, len(images)), 2 * len(modalities) + 0.4), layout="constrained",
                    facecolor="white")
    tiles = figure.subplots(len(modalities), len(images), squeeze=False)
    for number, (column, image, found) in enumerate(zip(tiles.T, images, classes, strict=True), 1):
        for channel, (axis, name) in enumerate(zip(column, modalities, strict=True)):
            axis.set_axis_off()
            _tile(axis, image[..., channel], found, (1, 1, 1), f"patch {number}, {name}", whole=False)
    _legend(figure, labels)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, completely or not at all."""
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


def _spread(cases: Sequence[Case], most: int) -> list[Case]:
    """Select at most `most` cases, evenly spread over the list."""
    if len(cases) <= most:
        return list(cases)
    return [cases[index] for index in np.linspace(0, len(cases) - 1, most).round().astype(int)]


def _spacings(axis: Axes, fingerprint: Fingerprint) -> None:
    """Draw one dot per case and axis."""
    unusual = set(unusual_spacing(fingerprint))
    rng = np.random.default_rng(0)
    for name, case in fingerprint.cases.items():
        apart = name in unusual
        axis.plot(np.arange(3) + rng.uniform(-0.2, 0.2), case.spacing_mm, "o" if not apart else "D", markersize=3,
                  color=UNUSUAL if apart else USUAL, alpha=0.9 if apart else 0.5, linestyle="none")
    axis.set_xticks(range(3), ["left–right", "post.–ant.", "inf.–sup."], fontsize=8)
    axis.tick_params(axis="y", labelsize=8)
    axis.set_ylim(bottom=0)
    axis.set_title(drawn(_title("spacing (mm)", sorted(unusual))), fontsize=9)


def _histograms(axis: Axes, fingerprint: Fingerprint, channel: int, name: str) -> None:
    """Draw one curve per case over its sample of labelled voxels."""
    unusual = unusual_intensity(fingerprint, channel)
    samples = {name: case.intensities[channel].sample for name, case in fingerprint.cases.items()
               if case.intensities[channel].sample}
    if samples:
        everything = np.concatenate(list(samples.values()))
        low, high = np.percentile(everything, [0.5, 99.5]) + [0, 1e-6]
        edges = np.linspace(low, high, 41)
        for case in [*list(samples)[:MOST_CURVES], *(case for case in unusual if case in samples)]:
            counts = np.histogram(samples[case], edges)[0] / len(samples[case])
            axis.plot((edges[1:] + edges[:-1]) / 2, counts, linewidth=1.4 if case in unusual else 0.7,
                      color=UNUSUAL if case in unusual else USUAL, alpha=0.9 if case in unusual else 0.5)
    axis.set_yticks([])
    axis.tick_params(labelsize=8)
    axis.set_title(drawn(_title(f"{name}, labelled voxels", unusual)), fontsize=9)


def _title(what: str, unusual: Sequence[str]) -> str:
    if not unusual:
        return what
    more = f" and {len(unusual) - MOST_NAMES} more" if len(unusual) > MOST_NAMES else ""
    return f"{what}\nunusual: {', '.join(unusual[:MOST_NAMES])}{more}"


def _tile(axis: Axes, image: np.ndarray, classes: np.ndarray, spacing: Sequence[float], title: str,
          whole: bool = True) -> None:
    """Draw the axial plane through the centre of the labels (of a single slice, its own), with their outlines.

    Args:
        axis: Where to draw.
        image: (x, y, z) in RAS+, shown in grey.
        classes: (x, y, z), 0 for the background.
        spacing: mm per axis.
        title: Above the image.
        whole: Whether this is a whole image. Its left and right are then marked, and outlines close at its edge. A
            patch may be mirrored, and outlines continue beyond its edge.
    """
    from matplotlib.patheffects import withStroke

    plane = planes_to_show(image.shape, PLANES)[0]
    middle, (across, up) = centre(classes > 0)[plane[1]], plane[2]
    grey, found = (plane_of(volume, middle, plane) for volume in (image, classes))
    inside = grey[grey != 0]
    low, high = np.percentile(inside, [1, 99]) if inside.size else (0, 1)
    box = (0, grey.shape[1] * spacing[across], 0, grey.shape[0] * spacing[up])
    axis.imshow(grey, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), origin="lower", extent=box,
                interpolation="nearest")
    for value in range(1, int(classes.max()) + 1):
        if (found == value).any():
            outline(axis, found == value, box, CLASSES[(value - 1) % len(CLASSES)], "solid", closed=whole)
    for text, x, side in (("R", 0.03, "left"), ("L", 0.97, "right")) if whole and plane[4] == "R" else ():
        axis.text(x, 0.93, text, color="white", fontsize=9, transform=axis.transAxes, va="center", ha=side,
                  path_effects=[withStroke(linewidth=2, foreground="black")])
    axis.set_title(drawn(title), fontsize=8, pad=3)


def _legend(figure: Figure | SubFigure, labels: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    figure.legend(handles=[Line2D([], [], color=CLASSES[index % len(CLASSES)], label=drawn(name))
                           for index, name in enumerate(labels)],
                  loc="outside lower center", ncols=max(1, min(6, len(labels))), frameon=False, fontsize=8)
