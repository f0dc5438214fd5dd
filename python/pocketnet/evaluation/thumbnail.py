"""Small pictures of cases for the report's table: grey, with the outlines of reference and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files import atomic
from ..preprocessing.boxes import bounding_box, planes_to_show
from .overlay import PLANES, PREDICTION, REFERENCE, centre, plane_of

if TYPE_CHECKING:
    from PIL import Image

MOST = 100
"""Maximum number of thumbnails of an evaluation: of the worst cases."""
FOLDER = "thumbnails"
SUFFIX = ".webp"
SIDE = 192  # pixels
QUALITY = 60  # WebP: about 4 kB for an MR image
CONTEXT_MM = 20  # least margin around the labels


def file_of(case: str) -> str:
    """Return the path of a case's thumbnail within the evaluation's folder."""
    return f"{FOLDER}/{case}{SUFFIX}"


def worst(scores: dict[str, float]) -> list[str]:
    """Return the `MOST` cases with the lowest score, lowest first; cases without a score come last."""
    return sorted(scores, key=lambda case: (np.isnan(scores[case]), scores[case], case))[:MOST]


def draw(image: np.ndarray, reference: np.ndarray, prediction: np.ndarray, spacing: Sequence[float]) -> Image.Image:
    """Draw the slice in which most voxels differ: the reference blue, the prediction orange where it is another.

    Args:
        image: (x, y, z) in RAS+, shown in grey between the 1st and 99th percentile of the non-zero voxels of the slice.
        reference: Classes, (x, y, z).
        prediction: Classes, (x, y, z).
        spacing: mm along x, y, z.

    Returns:
        A square RGB picture of `SIDE` pixels with the labels in the middle; the patient's right is on the left.
    """
    from PIL import Image

    plane = planes_to_show(image.shape, PLANES)[0]
    index = _slice(reference, prediction, plane)
    grey, truth, found = (plane_of(volume, index, plane) for volume in (image, reference, prediction))
    across, up = (spacing[axis] for axis in plane[2])
    corners = _square((truth > 0) | (found > 0), (up, across))
    shown = grey[np.isfinite(grey) & (grey != 0)]
    low, high = np.percentile(shown, [1, 99]) if shown.size else (0, 1)
    scaled = np.clip((np.nan_to_num(grey) - low) / max(high - low, 1e-6), 0, 1)
    picture = np.repeat(_resized(scaled.astype(np.float32), corners, Image.Resampling.BILINEAR)[..., None], 3, axis=2)
    for classes, colour in ((truth, REFERENCE), (found, PREDICTION)):
        picture[_edges(_resized(classes, corners, Image.Resampling.NEAREST))] = _rgb(colour)
    return Image.fromarray(np.rint(picture[::-1] * 255).astype(np.uint8))


def write(path: Path, picture: Image.Image) -> None:
    """Write a picture of at most `SIDE` pixels as WebP, completely or not at all."""
    picture.thumbnail((SIDE, SIDE))
    with atomic(path) as temporary:
        picture.save(temporary, format="WEBP", quality=QUALITY, method=6)


def _slice(reference: np.ndarray, prediction: np.ndarray, plane: tuple[Any, ...]) -> int:
    """Return the index of the slice with most voxels that differ; without any, that of the labels' middle."""
    others = tuple(axis for axis in range(3) if axis != plane[1])
    differing = (reference != prediction).sum(axis=others)
    return int(differing.argmax()) if differing.any() else centre(reference > 0)[plane[1]]


def _square(mask: np.ndarray, steps: tuple[float, float]) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of the square to show, in pixels: the labels, and half their size around.

    Args:
        mask: The labels in the plane, (rows from the bottom, columns from the left); all of an empty one is shown.
        steps: mm between rows and between columns.
    """
    rows, columns = bounding_box(mask) or ((0, mask.shape[0]), (0, mask.shape[1]))
    size = max((side[1] - side[0]) * step for side, step in zip((rows, columns), steps, strict=True))
    whole = max(n * step for n, step in zip(mask.shape, steps, strict=True))
    half = min(size + max(size, 2 * CONTEXT_MM), whole) / 2
    left, right = (sum(columns) / 2 + sign * half / steps[1] for sign in (-1, 1))
    bottom, top = (sum(rows) / 2 + sign * half / steps[0] for sign in (-1, 1))
    return left, bottom, right, top


def _resized(plane: np.ndarray, corners: tuple[float, float, float, float], how: Image.Resampling) -> np.ndarray:
    """Return the square of the plane that `corners` names, `SIDE` pixels wide; 0 outside the plane."""
    from PIL import Image

    left, bottom, right, top = corners
    scale = (right - left) / SIDE, (top - bottom) / SIDE
    return np.asarray(Image.fromarray(plane).transform(
        (SIDE, SIDE), Image.Transform.AFFINE, (scale[0], 0, left, 0, scale[1], bottom), how))


def _edges(classes: np.ndarray) -> np.ndarray:
    """Return the pixels of a class beside a pixel of another one."""
    padded = np.pad(classes, 1, mode="edge")
    beside = [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
    return (classes > 0) & np.any([classes != other for other in beside], axis=0)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5))
