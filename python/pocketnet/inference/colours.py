"""Label colours, the same in label files and pictures.

The first eight are the colour-blind-safe palette of Okabe and Ito. Further colours step around the colour circle by the
golden angle, so that neighbours differ.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

from ..contracts.labels import Label
from ..files import write_text

FIRST = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178),
         (153, 153, 153))
GOLDEN = 0.61803398875

Colour = tuple[int, int, int]


def colour(value: int) -> Colour:
    """Return red, green and blue (0…255) for a label value from 1."""
    if value <= len(FIRST):
        return FIRST[value - 1]
    red, green, blue = colorsys.hsv_to_rgb(value * GOLDEN % 1, 0.65, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def itksnap(labels: Sequence[Label]) -> str:
    """Return ITK-SNAP label descriptions: index, red, green, blue, opacity, visible, visible in 3D, name."""
    lines = ["# ITK-SNAP label descriptions", '    0     0    0    0        0  0  0    "Clear Label"']
    lines += ['{:>5}   {:>3}  {:>3}  {:>3}        1  1  1    "{}"'.format(
        label.value, *colour(label.value), label.name.replace('"', "'")) for label in labels]
    return "\n".join(lines) + "\n"


def slicer(labels: Sequence[Label]) -> str:
    """Return a 3D Slicer colour table: index, name without spaces, red, green, blue, opacity."""
    lines = ["# 3D Slicer colour table", "0 background 0 0 0 0"]
    lines += ["{} {} {} {} {} 255".format(label.value, "_".join(label.name.split()), *colour(label.value))
              for label in labels]
    return "\n".join(lines) + "\n"


def write_label_tables(for_itksnap: Path, for_slicer: Path, labels: Sequence[Label]) -> None:
    """Write the names and colours of labels for ITK-SNAP (`.txt`) and 3D Slicer (`.ctbl`)."""
    write_text(for_itksnap, itksnap(labels))
    write_text(for_slicer, slicer(labels))
