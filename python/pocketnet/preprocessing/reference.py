"""Label maps whose headers do not say on which grid they lie, as some of LiTS: they lie on the image's."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from . import geometry
from .geometry import Grid, Volume

BY_IMAGE = "image"
"""The manifest's `label_grid` that has label maps taken voxel by voxel on the image's grid."""


def read_label(path: str | Path, label_grid: str | None, image: Grid) -> Volume:
    """A label map in RAS+.

    Args:
        path: The file.
        label_grid: The manifest's; None or `own` takes the file's header as it is.
        image: The file grid of the case's image.

    Raises:
        DataError: It cannot be read, or has another shape than the image whose grid it should have.
    """
    volume = geometry.read(path, label=True)
    return on_grid(volume, image, path) if label_grid == BY_IMAGE else volume


def on_grid(volume: Volume, grid: Grid, path: str | Path) -> Volume:
    """The same voxels, in the order of the file, on another grid of the same shape; `path` is for messages."""
    if volume.grid.shape != grid.shape:
        raise DataError(f"The label map has shape {volume.grid.shape}, its image {grid.shape}.", where=str(path))
    in_file = geometry.from_ras(volume.data, volume.grid)
    return Volume(geometry.to_ras(in_file, grid), geometry.ras_spacing(grid), grid)
