"""What the experiments' figures have in common: style, colours, boxes, bars."""

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
"""A colour a variant, told apart by the colour-blind; hatches or names tell them apart, too."""
HATCHES = {"pocket": "//", "pruned-tuned": "xx", "pocket-continued": ".."}
FAINT = "#8a8b8c"
STYLE: dict[Any, Any] = {"font.size": 9, "axes.titlesize": 9.5, "axes.spines.top": False, "axes.spines.right": False,
         "axes.edgecolor": FAINT, "xtick.color": "#303132", "ytick.color": "#303132", "grid.color": FAINT,
         "grid.linewidth": 0.5, "grid.alpha": 0.4, "hatch.linewidth": 0.6, "axes.axisbelow": True}


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """A white figure, in inches, in the common style; laid out when the block ends."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.draw_without_rendering()


def colour(variant: str) -> str:
    """A variant's colour; what has none of its own is grey."""
    return COLOURS.get(variant, NETWORKS[6])


def box(axis: Axes, place: float, values: Sequence[float], variant: str, width: float = 0.34) -> None:
    """A box of the quartiles with whiskers from the 5th to the 95th percentile, and the mean as a diamond."""
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
    """Names the variants' colours in one plot, or beside all of a figure (`loc` begins with `outside`)."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour(name), alpha=0.75, hatch=HATCHES.get(name), edgecolor="black", linewidth=0.7,
                     label=name) for name in variants]
    place.legend(handles=handles, frameon=False, **options)


def bar(axis: Axes, place: float, value: float, variant: str, width: float = 0.38) -> None:
    """A bar from zero in the variant's colour and hatch."""
    axis.bar(place, value, width, color=colour(variant), alpha=0.75, hatch=HATCHES.get(variant), edgecolor="black",
             linewidth=0.7)


def absent(axis: Axes, place: float) -> None:
    """A cross at the foot of the axis for what does not fit in memory."""
    axis.plot([place], [0.04], marker="x", markersize=8, markeredgewidth=2, color="#b00020", clip_on=False,
              transform=axis.get_xaxis_transform(), zorder=5)
    axis.text(place, 0.09, "does not fit", rotation=90, fontsize=7, ha="center", va="bottom", color="#b00020",
              transform=axis.get_xaxis_transform())
