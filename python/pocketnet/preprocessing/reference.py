"""Read label maps. Some datasets (LiTS) have label maps with a wrong header; these take the image's grid."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from . import geometry
from .geometry import Grid, Volume

BY_IMAGE = "image"
"""Value of the manifest's `label_grid`: ignore the label map's affine and use the image's grid."""
OTHER_GRID = "its header says another grid than its image's; taken voxel by voxel"


def read_label(path: str | Path, label_grid: str | None, image: Grid) -> Volume:
    """Read a label map into RAS+.

    Args:
        path: The file.
        label_grid: The manifest's `label_grid`; None or `own` uses the file's own header.
        image: File grid of the case's image.

    Raises:
        DataError: The file is unreadable, or the image's grid is to be used and has another shape.
    """
    volume = geometry.read(path, label=True)
    return on_grid(volume, image, path) if label_grid == BY_IMAGE else volume


def on_grid(volume: Volume, grid: Grid, path: str | Path) -> Volume:
    """Move a volume to another grid of the same shape, with a warning if its own differs; the voxels keep their order.

    Args:
        volume: The label map.
        grid: The image's grid.
        path: The label map's file, for messages.

    Raises:
        DataError: The shapes differ.
    """
    if volume.grid.shape != grid.shape:
        raise DataError(f"The label map has shape {volume.grid.shape}, its image {grid.shape}.", where=str(path))
    in_file = geometry.from_ras(volume.data, volume.grid)
    found = volume.warnings if geometry.same_grid(volume.grid, grid) else (*volume.warnings, OTHER_GRID)
    return Volume(geometry.to_ras(in_file, grid), geometry.ras_spacing(grid), grid, found)
