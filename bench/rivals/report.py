"""Tables, figure and verdict, from the rows alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from pocketnet.evaluation.statistics import Paired, bootstrap_interval, compare_paired

from .datasets import DATASETS

Row = Mapping
OURS = "ours"
"""The tool that the bounds are about: one network."""
MEMORY = 0.5
"""Bound: the training's peak memory, as a share of each rival's."""
METRICS = {"hd95_mm": ("HD95 (mm)", 2), "nsd_1mm": ("NSD", 3)}
BOUNDS = {"interval_low_above": 0.0, "memory_ratio_at_most": MEMORY}


@dataclass(frozen=True)
class Result:
    """A tool's folds on a dataset at a budget, pooled.

    Attributes:
        rows: One for each fold.
    """

    rows: Sequence[Row]

    @property
    def key(self) -> tuple[str, int]:
        """Dataset and budget."""
        return self.rows[0]["dataset"], self.rows[0]["budget_core_minutes"]

    @property
    def cases(self) -> list[str]:
        """The test cases of all folds."""
        return [case for row in self.rows for case in row["cases"]]

    def values(self, metric: str) -> np.ndarray:
        """Return the values of a metric (label, case); NaN where it is undefined."""
        return np.concatenate([np.array(list(row[metric].values()), dtype=float) for row in self.rows], axis=1)

    @cached_property
    def dice(self) -> dict[str, float]:
        """Mean Dice over the labels, by case."""
        return dict(zip(self.cases, np.nanmean(self.values("dice"), axis=0), strict=True))

    def used(self, part: str, what: str) -> float:
        """Return the mean over folds of what a part of the work used; of memory, the largest."""
        values = [row[part][what] for row in self.rows]
        return max(values) if what == "peak_mib" else float(np.mean(values))


def results(rows: Sequence[Row]) -> dict[tuple[str, int], dict[str, Result]]:
    """Group the rows that have results by dataset and budget, and then by tool."""
    found: dict[tuple[str, int], dict[str, list[Row]]] = {}
    for row in rows:
        if "cannot" not in row:
            found.setdefault((row["dataset"], row["budget_core_minutes"]), {}).setdefault(row["tool"], []).append(row)
    return {key: {tool: Result(sorted(of, key=lambda row: row["fold"])) for tool, of in found[key].items()}
            for key in sorted(found, key=lambda key: (list(DATASETS).index(key[0]), key[1]))}


def against(rival: Result, ours: Result) -> Paired:
    """Compare mean Dice, ours − rival, on the cases that both have; patients stay together."""
    cases = [case for case in rival.dice if case in ours.dice]
    pattern = DATASETS[rival.key[0]].group
    patients = None if pattern is None else [re.match(pattern, case)[1] for case in cases]
    return compare_paired([rival.dice[case] for case in cases], [ours.dice[case] for case in cases], clusters=patients)


def tables(rows: Sequence[Row], titles: Mapping[str, str]) -> str:
    """Write a Markdown table for each dataset and budget, and what a tool could not do.

    Args:
        rows: As recorded.
        titles: Name of each tool, in the order of the table.
    """
    parts = []
    for (dataset, budget), of in results(rows).items():
        folds = sorted({row["fold"] for result in of.values() for row in result.rows})
        parts.append(f"**{dataset}, {budget} core-minutes, fold {', '.join(map(str, folds))}**\n\n"
                     + _table(of, titles))
    unable = [f"- {titles[row['tool']]}, {row['dataset']}, fold {row['fold']}, {row['budget_core_minutes']} "
              f"core-minutes: {row['cannot']}" for row in rows if "cannot" in row]
    return "\n\n".join([*parts, *(["\n".join(unable)] if unable else [])])


def _table(of: Mapping[str, Result], titles: Mapping[str, str]) -> str:
    labels = list(next(iter(of.values())).rows[0]["dice"])
    heads = ["tool", "cases", *(f"Dice {label}" for label in labels), "Dice, mean [95 %]",
             *(title for title, _ in METRICS.values()), "ours, one − it [95 %]", "ours, two − it [95 %]", "parameters",
             "steps", "core-min, training", "core-s a case, prediction", "MiB, training", "MiB, prediction"]
    out = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for tool, result in ((tool, of[tool]) for tool in titles if tool in of):
        count, mean = len(result.cases), list(result.dice.values())
        low, high = bootstrap_interval(np.array(mean))
        cells = [titles[tool], count, *(f"{value:.4f}" for value in np.nanmean(result.values("dice"), axis=1)),
                 f"{np.mean(mean):.4f} [{low:.4f}, {high:.4f}]",
                 *(f"{np.nanmean(result.values(metric)):.{digits}f}" for metric, (_, digits) in METRICS.items()),
                 *("" if one not in of or one == tool else _difference(against(result, of[one]))
                   for one in (OURS, f"{OURS}-2")),
                 f"{result.rows[0]['parameters']:,}", f"{round(np.mean([row['steps'] for row in result.rows])):,}",
                 f"{result.used('training', 'cpu_seconds') / 60:.1f}",
                 f"{result.used('prediction', 'cpu_seconds') * len(result.rows) / count:.1f}",
                 f"{result.used('training', 'peak_mib'):,.0f}", f"{result.used('prediction', 'peak_mib'):,.0f}"]
        out.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(out)


def _difference(paired: Paired) -> str:
    return f"{paired.difference:+.4f} [{paired.interval[0]:+.4f}, {paired.interval[1]:+.4f}]"


def summary(rows: Sequence[Row], tools: Sequence[str]) -> dict:
    """Return figures, bounds, what is missing, and whether all is there and every bound holds.

    A tool that cannot be trained within a budget is not missing; it is listed under `cannot`.
    """
    rivals = [tool for tool in tools if not tool.startswith(OURS)]
    figures = []
    for (dataset, budget), of in results(rows).items():
        for tool in (tool for tool in rivals if tool in of and OURS in of):
            paired = against(of[tool], of[OURS])
            ratio = of[OURS].used("training", "peak_mib") / of[tool].used("training", "peak_mib")
            figures.append({"dataset": dataset, "budget_core_minutes": budget, "rival": tool, "cases": paired.n,
                            "difference": round(paired.difference, 4),
                            "interval": [round(value, 4) for value in paired.interval],
                            "memory_ratio": round(ratio, 3),
                            "ok": paired.interval[0] > BOUNDS["interval_low_above"] and ratio <= MEMORY})
    there = {(row["dataset"], row["budget_core_minutes"], row["tool"]) for row in rows}
    missing = [f"{name}, {budget} core-minutes, {tool}" for name, dataset in DATASETS.items()
               for budget in dataset.budgets for tool in tools if (name, budget, tool) not in there]
    return {"figures": figures, "bounds": BOUNDS, "missing": missing,
            "cannot": [{name: row[name] for name in ("tool", "dataset", "fold", "budget_core_minutes", "cannot")}
                       for row in rows if "cannot" in row],
            "ok": bool(figures) and not missing and all(figure["ok"] for figure in figures)}


def draw(rows: Sequence[Row], titles: Mapping[str, str], folder: Path) -> None:
    """Draw Dice against the core-minutes that the training used, into `<folder>/<dataset>.svg`.

    A point is the mean over the test cases with its 95 % interval over cases.
    """
    import matplotlib
    from pocketnet.experiments.drawing import new_figure
    from pocketnet.report.figures import NETWORKS

    grouped = results(rows)
    for name in {dataset for dataset, _ in grouped}:
        with matplotlib.rc_context({"svg.hashsalt": "rivals"}), new_figure(5.4, 3.4) as figure:
            axis = figure.add_subplot()
            for number, (tool, title) in enumerate(titles.items()):
                points = [of[tool] for (dataset, _), of in grouped.items() if dataset == name and tool in of]
                if not points:
                    continue
                means = [list(point.dice.values()) for point in points]
                heights = np.array([np.mean(values) for values in means])
                low, high = np.array([bootstrap_interval(np.array(values)) for values in means]).T
                axis.errorbar([point.used("training", "cpu_seconds") / 60 for point in points], heights,
                              (heights - low, high - heights), marker="osD^v"[number % 5], markersize=5, capsize=3,
                              linewidth=1.4, color=NETWORKS[number % len(NETWORKS)], label=title)
            axis.set(xlabel="processor time of the training (core-minutes, one thread)",
                     ylabel="Dice, mean over labels and test cases", title=name)
            axis.set_xlim(left=0)
            axis.grid(axis="y")
            axis.legend(frameon=False, loc="lower right")
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
