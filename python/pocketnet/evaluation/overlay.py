"""Draw a case: three planes with the contours of reference and prediction, and below them the voxels that differ.

The colours are from the colour-blind-safe palette of Okabe and Ito; line styles differ as well. Planes follow the
radiological convention: the patient's right is on the left of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contracts.labels import Label
from ..files import atomic
from ..preprocessing.boxes import bounding_box, crop, planes_to_show
from ..text import drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image

    from ..contracts.overlays import Rank

REFERENCE, PREDICTION = "#56B4E9", "#E69F00"  # sky blue, orange
CLASSES = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#0072B2")  # by label, in `label_maps`
MISSED, ADDED = "#56B4E9", "#D55E00"  # in the reference only, in the prediction only
GREYS = 28  # grey levels in the picture: a third of the file size, no visible loss
LETTERS = 12  # points; readable if the picture is shown at half its size
MARGIN_MM = 5  # margin around the non-zero region
ROOM = 0.06  # space around a plane for its letters, relative to the longest side

RANKS: tuple[Rank, ...] = ("best", "median", "worst")

# name, axis normal to the plane, horizontal and vertical axis, flip the horizontal axis, letters on the left and top
PLANES = (("axial", 2, (0, 1), True, "R", "A"), ("coronal", 1, (0, 2), True, "R", "S"),
          ("sagittal", 0, (1, 2), True, "A", "S"))
OPPOSITE = {"R": "L", "A": "P", "S": "I"}


def centre(mask: np.ndarray) -> tuple[int, ...]:
    """Return the mask's median index along each axis; every plane through it meets the mask.

    An empty mask returns the array's centre.
    """
    where = np.nonzero(mask)
    if not where[0].size:
        return tuple(n // 2 for n in mask.shape)
    return tuple(int(np.sort(axis)[axis.size // 2]) for axis in where)


def pick(mean_dice: dict[str, float]) -> list[tuple[Rank, str]]:
    """Return the cases to show as (rank, case): best, median and worst by mean Dice, each case once.

    Cases with an undefined Dice are excluded. Two cases have no median.
    """
    order = sorted((case for case, value in mean_dice.items() if not np.isnan(value)),
                   key=lambda case: (-mean_dice[case], case))
    picked: dict[str, str] = {}
    for rank, index in (("best", 0), ("worst", len(order) - 1), ("median", len(order) // 2)):
        if order and order[index] not in picked.values():
            picked[rank] = order[index]
    return [(rank, picked[rank]) for rank in RANKS if rank in picked]


def draw_overlay(path: Path, image: np.ndarray, reference: np.ndarray, prediction: np.ndarray, spacing: Sequence[float],
                 title: str) -> None:
    """Write the picture as PNG.

    Args:
        path: The file.
        image: (x, y, z) in RAS+, shown in grey between the 1st and 99th percentile of its non-zero voxels.
        reference: Classes, (x, y, z).
        prediction: Classes, (x, y, z).
        spacing: mm along x, y, z.
        title: Text above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from PIL import Image

    image, reference, prediction = _crop(image, reference, prediction, spacing)
    foreground = image[image != 0]
    low, high = np.percentile(foreground, [1, 99]) if foreground.size else (0, 1)
    shown = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    middle = centre((reference > 0) | (prediction > 0))
    planes, extent, room, widths, heights = _laid_out(image.shape, spacing)
    across = 7.4
    single = len(planes) == 1  # side by side
    down = (max(heights) / 2 if single else 2 * max(heights)) * across / sum(widths)
    figure = Figure(figsize=(across, down + 0.75), dpi=100, facecolor="black")
    axes = figure.subplots(*((1, 2) if single else (2, len(planes))), squeeze=False, gridspec_kw={
        "width_ratios": widths * 2 if single else widths, "wspace": 0.03, "hspace": 0.03, "left": 0.005,
        "right": 0.995, "bottom": 0.38 / (down + 0.75), "top": 1 - 0.33 / (down + 0.75)}).reshape(2, -1)
    for column, plane in enumerate(planes):
        name, through = plane[:2]
        grey, truth, found = (plane_of(volume, middle[through], plane) for volume in (shown, reference, prediction))
        box = (0, extent[plane[2][0]], 0, extent[plane[2][1]])
        upper, lower = axes[0, column], axes[1, column]
        upper.imshow(grey, cmap="gray", vmin=0, vmax=1, origin="lower", extent=box, interpolation="nearest")
        for value in range(1, int(max(reference.max(), prediction.max())) + 1):
            for mask, colour, style in ((truth == value, REFERENCE, "solid"),
                                        (found == value, PREDICTION, (0, (3, 2)))):
                if mask.any():
                    outline(upper, mask, box, colour, style)
        lower.imshow(grey * 0.45, cmap="gray", vmin=0, vmax=1, origin="lower", extent=box, interpolation="nearest")
        lower.imshow(_errors(truth, found), origin="lower", extent=box, interpolation="nearest")
        for axis in (upper, lower):
            axis.set_axis_off()
            axis.set_xlim(-room, box[1] + room)
            axis.set_ylim(-room, box[3] + room)
            axis.set_aspect("equal", anchor="C")
        _letters(upper, plane)
        lower.text(0.02, 0.03, name, color="white", fontsize=LETTERS, transform=lower.transAxes, va="bottom",
                   path_effects=_stroked())
    figure.text(0.5, 0.99, drawn(title), color="white", fontsize=LETTERS, ha="center", va="top")
    figure.legend(handles=[Line2D([], [], color=REFERENCE, label="reference"),
                           Line2D([], [], color=PREDICTION, linestyle=(0, (3, 2)), label="prediction"),
                           Patch(color=MISSED, label="missed or other"), Patch(color=ADDED, label="added")],
                  loc="lower center", ncols=4, frameon=False, labelcolor="white", fontsize=LETTERS, handlelength=1.3,
                  columnspacing=1.1, borderaxespad=0.1)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    with atomic(path) as temporary:
        picture.quantize(palette=_palette(), dither=Image.Dither.NONE).save(temporary, format="PNG", optimize=True)


def _laid_out(shape: Sequence[int], spacing: Sequence[float]
              ) -> tuple[Sequence[tuple[Any, ...]], np.ndarray, float, list[float], list[float]]:
    """Return the planes to show, and in mm: the extent of each axis, the space around planes, and their sizes."""
    planes = planes_to_show(shape, PLANES)
    extent = np.asarray(shape) * np.asarray(spacing)
    room = ROOM * max(extent[axis] for plane in planes for axis in plane[2])
    return (planes, extent, room, [extent[plane[2][0]] + 2 * room for plane in planes],
            [extent[plane[2][1]] + 2 * room for plane in planes])


def _letters(axis: Axes, plane: tuple[Any, ...], size: float = LETTERS) -> None:
    """Write the letters for the patient's sides into the space around a plane."""
    _, _, _, _, left, top = plane
    for text, x, y, side in ((left, 0.01, 0.5, "left"), (OPPOSITE[left], 0.99, 0.5, "right"),
                             (top, 0.5, 0.97, "center"), (OPPOSITE[top], 0.5, 0.03, "center")):
        axis.text(x, y, text, color="white", fontsize=size, transform=axis.transAxes, va="center", ha=side, zorder=9,
                  path_effects=_stroked())


def _stroked() -> list[Any]:
    """Return a text outline that keeps letters readable on any grey."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2, foreground="black")]


def _crop(image: np.ndarray, reference: np.ndarray, prediction: np.ndarray,
          spacing: Sequence[float]) -> tuple[np.ndarray, ...]:
    """Crop all three to the box around the voxels that are non-zero in any of them, with a margin."""
    box = bounding_box((image != 0) | (reference > 0) | (prediction > 0))
    if box is None:
        return image, reference, prediction
    margins = [round(MARGIN_MM / step) for step in spacing]
    window = tuple((max(0, start - margin), stop + margin)
                   for (start, stop), margin in zip(box, margins, strict=True))
    return crop(image, window), crop(reference, window), crop(prediction, window)


def _palette() -> Image.Image:
    """Return an image whose palette has the greys, the colours, and blends of both for smooth edges."""
    from matplotlib.colors import to_rgb
    from PIL import Image

    greys = [np.full(3, level) for level in np.linspace(0, 1, GREYS)]
    blends = [part * np.array(to_rgb(colour)) + (1 - part) * grey
              for colour in {REFERENCE, PREDICTION, MISSED, ADDED} for part in (1, 0.65, 0.3)
              for grey in (greys[::9] if part < 1 else greys[:1])]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(np.array(greys + blends) * 255).astype(np.uint8).tobytes())
    return palette


def plane_of(volume: np.ndarray, index: int, plane: tuple[Any, ...]) -> np.ndarray:
    """Return one plane as (rows from the bottom, columns from the left)."""
    _, through, (across, up), flip, _, _ = plane
    cut = np.take(volume, index, axis=through)
    if across < up:  # `np.take` leaves the other axes in ascending order
        cut = cut.T
    return cut[:, ::-1] if flip else cut


def _errors(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return an RGBA picture of the voxels that differ."""
    from matplotlib.colors import to_rgba

    picture = np.zeros((*truth.shape, 4))
    picture[(truth != found) & (truth > 0)] = to_rgba(MISSED)
    picture[(truth == 0) & (found > 0)] = to_rgba(ADDED)
    return picture


def outline(axis: Axes, mask: np.ndarray, box: tuple[Any, ...], colour: str,
            style: str | tuple[int, tuple[int, int]], closed: bool = True) -> None:
    """Draw the outline of a mask, halfway between inner and outer voxel centres.

    Args:
        axis: The axes to draw on.
        mask: Mask of the plane, (rows from the bottom, columns from the left).
        box: Extent of the plane: left, right, bottom, top.
        colour: Colour of the line.
        style: Line style of matplotlib.
        closed: Whether the outline closes at the edge of the picture.
    """
    rows, columns = mask.shape
    step_x, step_y = box[1] / columns, box[3] / rows
    x = (np.arange(-1, columns + 1) + 0.5) * step_x
    y = (np.arange(-1, rows + 1) + 0.5) * step_y
    padded = np.pad(mask, 1) if closed else np.pad(mask, 1, mode="edge")
    axis.contour(x, y, padded.astype(float), levels=[0.5], colors=[colour],
                 linewidths=1.6 if style == "solid" else 1.2, linestyles=[style])


def label_maps(image: np.ndarray, reference: np.ndarray, prediction: np.ndarray, spacing: Sequence[float],
               labels: Sequence[Label], title: str) -> Figure:
    """Draw all labels in three planes: the reference in the upper row, the prediction in the lower row.

    Args:
        image: (x, y, z) in RAS+, shown in grey.
        reference: Classes, (x, y, z).
        prediction: Classes, (x, y, z).
        spacing: mm along x, y, z.
        labels: The manifest's `labels`; each has its own colour.
        title: Text above the figure.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    image, reference, prediction = _crop(image, reference, prediction, spacing)
    foreground = image[image != 0]
    low, high = np.percentile(foreground, [1, 99]) if foreground.size else (0, 1)
    middle = centre(reference > 0) if (reference > 0).any() else centre(prediction > 0)
    colours = {label.value: CLASSES[index % len(CLASSES)] for index, label in enumerate(labels)}
    planes, extent, room, widths, heights = _laid_out(image.shape, spacing)
    single = len(planes) == 1  # side by side
    tall = (max(heights) / 2 if single else 2 * max(heights)) / sum(widths)
    figure = Figure(figsize=(7.4, 7.4 * tall + 0.8), facecolor="black", layout="constrained")
    axes = figure.subplots(*((1, 2) if single else (2, len(planes))), squeeze=False,
                           width_ratios=widths * 2 if single else widths).reshape(2, -1)
    for row, (classes, name) in enumerate(((reference, "reference"), (prediction, "prediction"))):
        for axis, plane in zip(axes[row], planes, strict=True):
            grey, shown = (plane_of(volume, middle[plane[1]], plane) for volume in (image, classes))
            box = (0, extent[plane[2][0]], 0, extent[plane[2][1]])
            axis.imshow(grey, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), origin="lower", extent=box)
            picture = np.zeros((*shown.shape, 4))
            for value, colour in colours.items():
                picture[shown == value] = to_rgba(colour, 0.65)
            axis.imshow(picture, origin="lower", extent=box, interpolation="nearest")
            axis.set_axis_off()
            axis.set_xlim(-room, box[1] + room)
            axis.set_ylim(-room, box[3] + room)
            _letters(axis, plane, 8)
            axis.set_title(drawn(f"{name}, {plane[0]}"), color="white", fontsize=8)
    figure.suptitle(drawn(title), color="white", fontsize=8.5)
    figure.legend(handles=[Patch(color=colours[label.value], label=drawn(label.name)) for label in labels],
                  loc="outside lower center", ncols=len(labels), frameon=False, labelcolor="white", fontsize=8)
    return figure
