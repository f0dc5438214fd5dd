"""Draw the report's figures as SVG that inherits its colours and fonts from the page, in light and dark mode.

matplotlib draws each role with a fixed colour; in the SVG, CSS variables of the page replace these colours. They come
from the colour-blind-safe palette of Okabe and Ito.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contracts.calibration import Calibration
from ..contracts.temperatures import Temperatures
from ..evaluation import roc
from ..evaluation.classification.metrics import curves as curves_of
from ..evaluation.layout import SHARES
from ..evaluation.metrics import METRICS
from ..evaluation.segmentation.layout import TITLES
from ..text import drawn
from ..tracking.records import Model

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

TEXT, SOFT, FAINT = "#101112", "#5c5d5e", "#9a9b9c"  # placeholders for the page's text, soft text and lines
NETWORKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#b2a300")
PANEL = (3.3, 2.9)  # inches
MOST_LINES = 300  # paired lines in one panel
MOST_LETTERS = 28  # of all networks' names that fit side by side under a panel
FEW = 20  # with up to this many cases, a box plot shows every case


def network_colours(names: Sequence[str]) -> dict[str, str]:
    """Assign a colour to each network in order; colours repeat after eight."""
    return {name: NETWORKS[index % len(NETWORKS)] for index, name in enumerate(names)}


def css_variables() -> dict[str, str]:
    """Map each colour used in the figures to its CSS variable on the page."""
    return {TEXT: "currentColor", SOFT: "var(--soft)", FAINT: "var(--line)",
            **{colour: f"var(--network-{index})" for index, colour in enumerate(NETWORKS)}}


def learning_curves(models: Sequence[Model], colours: dict[str, str], score: tuple[str, str]) -> list[str]:
    """Draw loss and validation score by epoch, with a thin line per fold and a thick mean.

    Args:
        models: Models of any number of networks and folds.
        colours: Colour by `<arch> <width>`.
        score: Column of the history and display name of the validation score.

    Returns:
        One SVG per panel; an empty list if no model has a history.
    """
    groups: dict[str, list[Model]] = {}
    for model in models:
        if model.history:
            groups.setdefault(f"{model.provenance.arch} {model.provenance.width}", []).append(model)
    panels = (("loss", "training loss"), ("validation_loss", "validation loss"), score) if groups else ()
    return [_learning_panel(groups, column, title, colours) for column, title in panels]


def _learning_panel(groups: dict[str, list[Model]], column: str, title: str, colours: dict[str, str]) -> str:
    from matplotlib.ticker import MaxNLocator

    with _figure(*PANEL, f"learning {column}", f"{title.capitalize()} by epoch: {_last_values(groups, column)}") as (
            figure, out):
        axis = figure.subplots()
        for name, members in groups.items():
            for model in members:
                axis.plot([row["epoch"] for row in model.history], [row[column] for row in model.history],
                          color=colours[name], linewidth=0.8 if len(members) > 1 else 1.8,
                          alpha=0.45 if len(members) > 1 else 1,
                          marker="o" if len(model.history) == 1 else None, markersize=3)
            if len(members) > 1:
                shortest = min(len(model.history) for model in members)
                mean = np.mean([[row[column] for row in model.history[:shortest]] for model in members], axis=0)
                axis.plot([row["epoch"] for row in members[0].history[:shortest]], mean, color=colours[name],
                          linewidth=2)
        axis.set_title(title)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(axis="y")
        figure.tight_layout()
    return out[0]


def _last_values(groups: dict[str, list[Model]], column: str) -> str:
    """Describe the curves for screen readers: their final values, averaged over folds."""
    ends = {name: [model.history[-1][column] for model in members] for name, members in groups.items()}
    return "; ".join(f"{name} ends at {np.mean(values):.3f}" for name, values in ends.items()
                     if not np.isnan(values).any())


def box_plots(rows: pd.DataFrame, networks: Sequence[tuple[str, str]], label: str,
              colours: dict[str, str]) -> list[str]:
    """Draw the metrics of one label: one box per network, and one thin line per case within an architecture.

    Args:
        rows: Rows of `metrics.csv` of all networks.
        networks: (arch, width) from left to right.
        label: Name of the label.
        colours: Colour by `<arch> <width>`.

    Returns:
        One SVG per metric that has values.
    """
    rows = rows[rows["label"] == label]
    return [_box_panel(rows, networks, label, metric, colours) for metric in METRICS if rows[metric].notna().any()]


def _box_panel(rows: pd.DataFrame, networks: Sequence[tuple[str, str]], label: str, metric: str,
               colours: dict[str, str]) -> str:
    values = {key: group.set_index(["case", "fold"])[metric].dropna() for key, group in rows.groupby(["arch", "width"])}
    said = "; ".join(f"{' '.join(key)} median {values[key].median():.3g}" for key in networks
                     if key in values and len(values[key]))
    with _figure(*PANEL, f"{label} {metric}", f"{TITLES[metric]} of {label}, a box per network and a line per case: "
                 + (said or "no values")) as (figure, out):
        axis = figure.subplots()
        for place, key in enumerate(networks):
            if key not in values:
                continue
            _box(axis, place, values[key].to_numpy(), colours[" ".join(key)])
            if place and networks[place - 1][0] == key[0] and networks[place - 1] in values:
                _lines(axis, place, values[networks[place - 1]], values[key])
        axis.set_title(TITLES[metric])
        names = [drawn(" ".join(key)) for key in networks]
        flat = len("".join(names)) <= MOST_LETTERS
        axis.set_xticks(range(len(networks)), names, rotation=0 if flat else 30, ha="center" if flat else "right")
        axis.set_xlim(-0.6, len(networks) - 0.4)
        axis.grid(axis="y")
        if metric not in SHARES:
            _distance_scale(axis, rows[metric].dropna().to_numpy())
        figure.tight_layout()
    return out[0]


def risk_curves(calibrations: Mapping[str, Calibration], label: str, colours: dict[str, str]) -> str:
    """Draw the risk–coverage curves of a label: mean 1 − Dice of the cases that are kept, most trusted first.

    Args:
        calibrations: By `<arch> <width>`, or that and the folds.
        label: Name of the label.
        colours: Colour by the first two words of these names.
    """
    curves = {name: one.held_out.risk for name, known in calibrations.items() for one in known.labels
              if one.label == label and one.held_out}
    said = "; ".join(f"{name} from {risk[0][1]:.3f} to {risk[-1][1]:.3f}" for name, risk in curves.items())
    with _figure(*PANEL, f"risk {label}", f"Mean 1 − Dice of {label} by share of cases kept: {said}") as (figure, out):
        axis = figure.subplots()
        for name, risk in curves.items():
            axis.plot([100 * share for share, _ in risk], [loss for _, loss in risk], color=colours[_network(name)],
                      linewidth=1.8, marker="o" if len(risk) == 1 else None)
        axis.set_title(drawn(f"risk of {label}"))
        axis.set_xlabel("cases kept (%)")
        axis.set_ylabel("mean 1 − Dice")
        axis.set_ylim(bottom=0)
        axis.grid(axis="y")
        figure.tight_layout()
    return out[0]


def reliability_diagram(temperatures: Mapping[str, Temperatures], label: str, colours: dict[str, str]) -> str:
    """Draw the reliability diagram of a label: how often voxels have it, by its probability.

    Args:
        temperatures: By `<arch> <width>`, or that and the folds.
        label: Name of the label.
        colours: Colour by the first two words of these names.
    """
    found = {name: one for name, all_ in temperatures.items() for one in all_.labels if one.label == label}
    said = "; ".join(f"{name} calibration error {one.before.ece:.3f} before, {one.after.ece:.3f} after"
                     for name, one in found.items() if one.before and one.after)
    with _figure(*PANEL, f"reliability {label}", f"Share of voxels that are {label} by their probability: {said}") as (
            figure, out):
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        for name, one in found.items():
            for state, style in ((one.before, ":"), (one.after, "-")):
                bins = state.bins if state else ()
                axis.plot([at.probability for at in bins], [at.observed for at in bins], style, marker="o",
                          markersize=3, linewidth=1.5, color=colours[_network(name)])
        axis.set_title(drawn(f"reliability of {label}"))
        axis.set(xlabel="probability", ylabel="share that has the label", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axis.grid()
        figure.tight_layout()
    return out[0]


def _network(name: str) -> str:
    """Return `<arch> <width>` of a network's name, which can also have its folds."""
    return name.split(",")[0]


def roc_curves(rows: pd.DataFrame, networks: Sequence[tuple[str, str]], positive: str,
               colours: dict[str, str]) -> str:
    """Draw overlaid ROC curves of a class: one thin line per fold and a thick mean line per network.

    Args:
        rows: Rows of `metrics.csv` of all networks.
        networks: (arch, width) in order.
        positive: Name of the positive class.
        colours: Colour by `<arch> <width>`.
    """
    with _figure(5.6, 4.6, f"roc {positive}", f"ROC curves for class {positive}, one colour per network: "
                 + ", ".join(" ".join(key) for key in networks)) as (figure, out):
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
        for arch, width in networks:
            here = rows[(rows["arch"] == arch) & (rows["width"] == width)]
            curves = curves_of(here, positive) if len(here) else {}
            for points in curves.values() if len(curves) > 1 else []:
                axis.plot(*zip(*points, strict=True), color=colours[f"{arch} {width}"], linewidth=0.7, alpha=0.45)
            if curves:
                axis.plot(*zip(*roc.mean_curve(list(curves.values())), strict=True), linewidth=2,
                          color=colours[f"{arch} {width}"])
        axis.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axis.set_aspect("equal")
        axis.grid()
        figure.tight_layout()
    return out[0]


def _distance_scale(axis: Axes, values: np.ndarray) -> None:
    """Start the scale at 0; make it logarithmic above 1 mm if outliers would compress the boxes."""
    if values.size and values.max() > 5 * np.percentile(values, 95) and values.max() > 5:
        axis.set_yscale("symlog", linthresh=1, subs=[2, 5])
        axis.set_yticks([tick for tick in (0, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= 1.3 * values.max()])
        axis.yaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
    axis.set_ylim(0, 1.08 * values.max() if values.size and values.max() > 0 else 1)


def _box(axis: Axes, place: int, values: np.ndarray, colour: str) -> None:
    """Draw a box with whiskers and outliers; with few cases, show all of them, and whiskers to the extremes."""
    if not values.size:
        return
    few = values.size <= FEW
    axis.boxplot([values], positions=[place], widths=0.34, whis=(0, 100) if few else (5, 95), patch_artist=True,
                 boxprops={"facecolor": "none", "edgecolor": colour, "linewidth": 1.6},
                 medianprops={"color": colour, "linewidth": 2.4}, whiskerprops={"color": colour},
                 capprops={"color": colour}, zorder=3,
                 flierprops={"marker": "o", "markersize": 2.6, "markerfacecolor": colour, "markeredgewidth": 0})
    if few:
        axis.plot(np.full(values.size, place), values, "o", color=colour, markersize=3.2, markeredgewidth=0, zorder=4)


def _lines(axis: Axes, place: int, left: pd.Series, right: pd.Series) -> None:
    """Draw the lines of all cases as one path with gaps, which is far smaller than one path per case."""
    left, right = (one[~one.index.duplicated()] for one in (left, right))  # two evaluations of one network
    both = left.index.intersection(right.index)[:MOST_LINES]
    x = np.tile([place - 0.8, place - 0.2, np.nan], len(both))
    y = np.column_stack([left[both], right[both], np.full(len(both), np.nan)]).ravel()
    axis.plot(x, y, color=SOFT, linewidth=0.8, alpha=0.9 if len(both) <= FEW else 0.35, zorder=1)


@contextmanager
def _figure(width: float, height: float, name: str, description: str) -> Iterator[tuple[Any, ...]]:
    """Yield a matplotlib figure (size in inches), and a list that contains its SVG after the block."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 10, "axes.titlesize": 10,
             "text.color": TEXT, "axes.labelcolor": TEXT, "axes.edgecolor": FAINT, "xtick.color": FAINT,
             "ytick.color": FAINT, "xtick.labelcolor": TEXT, "ytick.labelcolor": TEXT, "grid.color": FAINT,
             "grid.linewidth": 0.5, "grid.alpha": 0.5, "axes.spines.top": False, "axes.spines.right": False,
             "path.simplify": True}
    out: list[str] = []
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height))
        yield figure, out
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    out.append(_for_page(buffer.getvalue(), name, description))


def _for_page(svg: str, name: str, description: str) -> str:
    """Convert an SVG file to an element of the page: no prolog, unique ids, the page's colours, a description."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", svg, flags=re.DOTALL)
    prefix = re.sub(r"\W", "-", name) + "-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
                 rf'<svg role="img" viewBox="\1" xmlns="http://www.w3.org/2000/svg" '
                 rf'xmlns:xlink="http://www.w3.org/1999/xlink"><title>{escape(description)}</title>', svg, count=1)
    for colour, variable in css_variables().items():
        svg = svg.replace(colour, variable)
    return re.sub(r"font-family: [^;\"]*;", "", svg)


def standalone(svg: str) -> str:
    """Convert a figure of the page to a standalone file: dark text on white."""
    svg = svg.replace("currentColor", TEXT)
    for colour, variable in css_variables().items():
        svg = svg.replace(variable, colour)
    return svg.replace("<svg ", '<svg style="background: #fff; font-family: sans-serif" ', 1)
