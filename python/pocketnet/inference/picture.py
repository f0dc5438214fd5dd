"""Draw a case's result as a picture for a quick check: three planes through the labels, without and with overlay.

Pillow draws it, because it imports fast. Planes follow the radiological convention: the patient's right is on the left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contracts.labels import Label
from ..evaluation.statement.apply import Statement
from ..files import atomic
from ..preprocessing.boxes import planes_to_show
from ..preprocessing.scan import Scan
from .colours import colour

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

# name, axis normal to the plane, horizontal axis, vertical axis, letters at the left, right, top and bottom
PLANES = (("axial", 2, 0, 1, "RLAP"), ("coronal", 1, 0, 2, "RLSI"), ("sagittal", 0, 1, 2, "APSI"))
HEIGHT, GAP, TEXT = 260, 6, 22
FLAGS = {"accept": "#7fd67f", "look": "#ffcf5c", "reject": "#ff7a6b"}
"""Colour of each flag."""


def middle(classes: np.ndarray) -> tuple[int, ...]:
    """Return for each axis the plane with most labelled voxels; the middle plane if there are none."""
    counts = [np.zeros(n, np.int64) for n in classes.shape]
    for x, plane in enumerate(classes):
        mask = plane > 0
        counts[1] += mask.sum(axis=1)
        counts[2] += mask.sum(axis=0)
        counts[0][x] = mask.sum()
    return tuple(int(c.argmax()) if c.any() else c.size // 2 for c in counts)


def draw_picture(path: Path, scan: Scan, classes: np.ndarray, labels: Sequence[Label], millilitres: Mapping[str, float],
                 title: str, said: Statement | None = None) -> None:
    """Write the picture as PNG, atomically.

    Args:
        path: The PNG to write.
        scan: The case; its first modality is shown in grey, between the 1st and 99th percentile.
        classes: (x, y, z) in RAS+.
        labels: The labels of `classes`.
        millilitres: Volume of each label in mL, shown in the legend.
        title: Text above the picture.
        said: The statement on the case, shown below the picture.
    """
    from PIL import Image, ImageDraw, ImageFont

    at, planes = middle(classes), planes_to_show(classes.shape, PLANES)
    greys = [_plane(scan.channels[0].read(_cut(plane, at)), plane) for plane in planes]
    shown = [_plane(classes[_cut(plane, at)], plane) for plane in planes]
    values = np.concatenate([grey[np.isfinite(grey) & (grey != 0)] for grey in greys])
    low, high = np.percentile(values, [1, 99]) if values.size else (0, 1)
    scale = HEIGHT / max(grey.shape[0] * scan.spacing[plane[3]] for grey, plane in zip(greys, planes, strict=True))
    columns = []
    for grey, found, plane in zip(greys, shown, planes, strict=True):
        size = tuple(max(1, round(n * scan.spacing[axis] * scale)) for n, axis in
                     zip(grey.shape[::-1], plane[2:4], strict=True))
        plain = Image.fromarray(np.uint8(np.clip((grey - low) / max(high - low, 1e-6), 0, 1) * 255))
        plain = plain.resize(size, Image.Resampling.BILINEAR).convert("RGB")
        columns.append((plain, _outlined(plain, np.asarray(Image.fromarray(found).resize(size, 0))), plane))
    width = max(360, sum(plain.width for plain, _, _ in columns) + GAP * 4)
    top, tall = TEXT + GAP, max(plain.height for plain, _, _ in columns)
    rows = _legend_rows(labels, width)
    font = ImageFont.load_default(13)
    lines = _statement(said, width, font) if said else []
    out = Image.new("RGB", (width, top + 2 * (tall + GAP) + TEXT * (len(rows) + len(lines))), "black")
    pen = ImageDraw.Draw(out)
    pen.text((GAP, 4), title, fill="white", font=font)
    left = GAP
    for plain, outlined, plane in columns:
        for row, picture in enumerate((plain, outlined)):
            y = top + row * (tall + GAP) + (tall - picture.height) // 2
            out.paste(picture, (left, y))
            _letters(pen, font, plane[4], (left, y, left + picture.width, y + picture.height))
        left += plain.width + GAP
    for row, entries in enumerate(rows):
        _legend(pen, font, entries, millilitres, top + 2 * (tall + GAP) + TEXT * row)
    for row, (text, fill) in enumerate(lines, len(rows)):
        pen.text((GAP, top + 2 * (tall + GAP) + TEXT * row + 2), text, fill=fill, font=font)
    with atomic(path) as temporary:
        out.save(temporary, format="PNG")  # optimize=True saves an eighth, and takes nine times as long


def _statement(said: Statement, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
               ) -> list[tuple[str, str]]:
    """Return the lines of a statement, each with its colour: the flag, each label, and the reasons.

    The font has no ×.
    """
    texts, of_labels = said.lines(), said.of_labels()
    return [(line, "white" if text in of_labels else FLAGS[said.flag]) for text in texts
            for line in _wrapped(text.replace("×", "x"), width - 2 * GAP, font)]


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(f"  {word}")
        else:
            lines[-1] = longer
    return lines


def _cut(plane: tuple[Any, ...], at: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(at[axis] if axis == plane[1] else slice(None) for axis in range(3))


def _plane(cut: np.ndarray, plane: tuple[Any, ...]) -> np.ndarray:
    """Return a cut as picture rows (from the top) and columns; the high ends of both axes are at the top left."""
    return np.ascontiguousarray(cut.T[::-1, ::-1])


def _outlined(plain: Image.Image, found: np.ndarray) -> Image.Image:
    """Return the picture with each label outlined and lightly filled in its colour."""
    from PIL import Image

    picture = np.asarray(plain).astype(np.float32)
    padded = np.pad(found, 1, mode="edge")
    inner = np.ones(found.shape, bool)
    for moved in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        inner &= moved == found
    for value in np.unique(found[found > 0]):
        for mask, share in ((found == value, 0.25), ((found == value) & ~inner, 1.0)):
            picture[mask] = picture[mask] * (1 - share) + np.array(colour(int(value)), np.float32) * share
    return Image.fromarray(picture.astype(np.uint8))


def _letters(pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, letters: str,
             box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    across, down = (left + right) // 2, (top + bottom) // 2
    places = ((left + 3, down), (right - 3, down), (across, top + 2), (across, bottom - 2))
    for letter, place, anchor in zip(letters, places, ("lm", "rm", "mt", "mb"), strict=True):
        pen.text(place, letter, fill="white", font=font, anchor=anchor, stroke_width=1, stroke_fill="black")


def _legend_rows(labels: Sequence[Label], width: int) -> list[list[Label]]:
    each = max(1, width // 180)
    return [list(labels[start: start + each]) for start in range(0, len(labels), each)]


def _legend(pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, labels: Sequence[Label],
            millilitres: Mapping[str, float], y: int) -> None:
    for column, label in enumerate(labels):
        x = GAP + column * 180
        pen.rectangle((x, y + 4, x + 11, y + 15), fill=colour(label.value))
        pen.text((x + 17, y + 2), f"{label.name[:14]} {millilitres[label.name]:.4g} mL", fill="white", font=font)
