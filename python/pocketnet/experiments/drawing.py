"""Shared elements of the experiments' figures: style, colours, boxes and bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..report.figures import NETWORKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"full": NETWORKS[0], "pocket": NETWORKS[1], "pruned": NETWORKS[3], "pruned-tuned": NETWORKS[2],
           "pocket-continued": NETWORKS[4]}
"""Colour per variant. The colours are colour-blind safe; hatches or names also distinguish the variants."""
HATCHES = {"pocket": "//", "pruned-tuned": "xx", "pocket-continued": ".."}
FAINT = "#8a8b8c"
STYLE: dict[Any, Any] = {"font.size": 9, "axes.titlesize": 9.5, "axes.spines.top": False, "axes.spines.right": False,
         "axes.edgecolor": FAINT, "xtick.color": "#303132", "ytick.color": "#303132", "grid.color": FAINT,
         "grid.linewidth": 0.5, "grid.alpha": 0.4, "hatch.linewidth": 0.6, "axes.axisbelow": True}


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Yield a white figure in the common style and lay it out when the block ends.

    Args:
        width: Width in inches.
        height: Height in inches.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.draw_without_rendering()


def colour(variant: str) -> str:
    """Return the colour of a variant; grey if it has none."""
    return COLOURS.get(variant, NETWORKS[6])


def box(axis: Axes, place: float, values: Sequence[float], variant: str, width: float = 0.34) -> None:
    """Draw a box plot: quartiles, whiskers from the 5th to the 95th percentile, and the mean as a diamond."""
    given = np.asarray(values, float)
    shown = given[~np.isnan(given)]
    if not shown.size:
        return
    drawn = axis.boxplot([shown], positions=[place], widths=width, whis=(5, 95), patch_artist=True, showmeans=True,
                         medianprops={"color": "black", "linewidth": 1.6},
                         meanprops={"marker": "D", "markersize": 3.5, "markerfacecolor": "white",
                                    "markeredgecolor": "black"},
                         flierprops={"marker": "o", "markersize": 2.2, "markerfacecolor": colour(variant),
                                     "markeredgewidth": 0})
    for patch in drawn["boxes"]:
        patch.set(facecolor=colour(variant), alpha=0.75, hatch=HATCHES.get(variant), edgecolor="black", linewidth=0.7)


def legend(place: Axes | Figure, variants: Sequence[str], **options: Any) -> None:
    """Draw a legend of the variants' colours in a plot, or outside all plots of a figure (`loc="outside …"`)."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour(name), alpha=0.75, hatch=HATCHES.get(name), edgecolor="black", linewidth=0.7,
                     label=name) for name in variants]
    place.legend(handles=handles, frameon=False, **options)


def bar(axis: Axes, place: float, value: float, variant: str, width: float = 0.38) -> None:
    """Draw a bar from zero in the variant's colour and hatch."""
    axis.bar(place, value, width, color=colour(variant), alpha=0.75, hatch=HATCHES.get(variant), edgecolor="black",
             linewidth=0.7)


def absent(axis: Axes, place: float) -> None:
    """Draw a cross at the bottom of the plot for a configuration that does not fit in memory."""
    axis.plot([place], [0.04], marker="x", markersize=8, markeredgewidth=2, color="#b00020", clip_on=False,
              transform=axis.get_xaxis_transform(), zorder=5)
    axis.text(place, 0.09, "does not fit", rotation=90, fontsize=7, ha="center", va="bottom", color="#b00020",
              transform=axis.get_xaxis_transform())
