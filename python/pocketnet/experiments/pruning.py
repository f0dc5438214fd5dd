"""Future work of the paper's discussion: a full network pruned to the pocket size, against the pocket network."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..contracts.comparison import MEAN, Equivalence, Pair
from ..evaluation.layout import (
    equivalence_text,
    interval_text,
    markdown_table,
    number,
    p_equivalence,
    p_text,
    pair_of,
)
from ..evaluation.metrics import PAPER_METRICS
from ..evaluation.segmentation.layout import TITLES
from ..evaluation.statistics import EQUIVALENCE_MARGIN, compare_paired, equivalence
from ..text import drawn
from . import drawing
from .inputs import Inputs
from .outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VARIANTS = {
    "full": "full, from scratch",
    "pocket": "pocket, from scratch",
    "pruned": "full, pruned to pocket, as it is",
    "pruned-tuned": "full, pruned to pocket, then trained on",
    "pocket-continued": "pocket, trained on as long",
}


def tabulate(inputs: Inputs) -> Outcome:
    """Draw one row per variant with its parameters and steps; compare the two variants with equally many steps."""
    inputs.need(comparison=inputs.comparison, evaluations=inputs.rows, models=inputs.models)
    runs = {(model.provenance.arch, model.provenance.width): model.provenance for model in inputs.models}
    rows, table = [], []
    means = [row for row in inputs.compared.networks if row.label == MEAN]
    order = list(VARIANTS)
    for row in sorted(means, key=lambda row: (row.arch, order.index(row.width))):
        run = runs[row.arch, row.width]
        pair = pair_of(inputs.compared, row, "dice")
        low, high = (pair and pair.interval) or (None, None)
        rows.append({"arch": row.arch, "variant": row.width, "parameters": row.parameters,
                     "steps": run.steps, "total_steps": run.total_steps, "cases": row.cases,
                     **{f"{metric}_{key}": getattr(row.metrics[metric], key) for metric in PAPER_METRICS
                        for key in ("mean", "sd", "median")},
                     "difference_to_full": pair and pair.difference, "interval_low": low, "interval_high": high,
                     "p_value": pair and pair.p_value, "p_holm": pair and pair.p_holm,
                     "p_equivalence": p_equivalence(pair)})
        table.append([row.arch, VARIANTS[row.width], f"{row.parameters / 1e6:.3f}", str(run.steps),
                      str(run.total_steps)]
                     + [f"{number(row.metrics[metric].mean, metric)} ± "
                        f"{number(row.metrics[metric].sd, metric)}" for metric in PAPER_METRICS]
                     + [number(row.metrics["dice"].median, "dice"),
                        f"{number(pair.difference, 'dice', True)} {interval_text(pair.interval, 'dice')}"
                        if pair else "", p_text(pair.p_value) if pair else "",
                        p_text(pair.p_holm) if pair else "", equivalence_text(pair) if pair else ""])
    header = ["Architecture", "Variant", "Parameters (M)", "own steps", "steps in all",
              *(f"{TITLES[metric]}, mean ± sd" for metric in PAPER_METRICS), "Dice, median",
              "Dice difference to full [95 %]", "p", "p, Holm", "equivalent within 1 point"]
    notes = ["Pruned: of each convolution the feature maps with the largest L1 norm of their filters are kept, as many "
             "as the pocket network has; the pruned networks have exactly its parameters. Trained on: the same plan "
             "once more, from the best network by validation loss, with the learning rate at its start.",
             "Steps in all counts the full network's too; its steps cost more than a pocket network's.",
             *_equal_steps(inputs, rows),
             "p: two-sided Wilcoxon signed-rank against full, paired by case. A p above 0.05 is not equivalence.",
             "The paper leaves pruning to future work: nothing published to compare with."]
    return Outcome(rows, markdown_table(header, table, numeric=2), _figure(inputs, rows),
                   "Dice by case (mean over labels) of each variant: box from the first to the third quartile, "
                   "whiskers from the 5th to the 95th percentile, line the median, diamond the mean.", notes,
                   {"criterion": "largest L1 norm of filters", "variants": [row["variant"] for row in rows]})


def _equal_steps(inputs: Inputs, rows: list[dict[str, Any]]) -> list[str]:
    """Compare the fine-tuned pruned network with the pocket network trained for the same total number of steps."""
    lines = []
    means = inputs.measured.groupby(["arch", "width", "case", "fold"])["dice"].mean()
    for arch in dict.fromkeys(row["arch"] for row in rows):
        steps = {row["variant"]: row["total_steps"] for row in rows if row["arch"] == arch}
        if not {"pruned-tuned", "pocket-continued"} <= set(steps):
            continue
        both = means[arch]["pruned-tuned"].to_frame("pruned").join(means[arch]["pocket-continued"].rename("pocket"))
        outcome = compare_paired(both["pocket"], both["pruned"])
        p_value = equivalence(both["pocket"], both["pruned"])
        same = Equivalence(EQUIVALENCE_MARGIN, p_value, p_value is not None and p_value < 0.05)
        tested = Pair(arch, "pruned-tuned", "pocket-continued", MEAN, "dice", **asdict(outcome), equivalence=same)
        difference = number(outcome.difference, "dice", True)
        interval = interval_text(outcome.interval, "dice")
        lines.append(f"At equally many steps in all ({steps['pruned-tuned']:,} and {steps['pocket-continued']:,}), "
                     f"{arch}: pruned and trained on − pocket trained on = {difference} Dice, 95 % interval "
                     f"{interval}, {outcome.n} pairs, Wilcoxon p {p_text(outcome.p_value)}, equivalent within "
                     f"{EQUIVALENCE_MARGIN:g}: {equivalence_text(tested)}.")
    return lines


def _figure(inputs: Inputs, rows: list[dict[str, Any]]) -> Figure:
    means = inputs.measured.groupby(["arch", "width", "case", "fold"], as_index=False)["dice"].mean()
    arches = list(dict.fromkeys(row["arch"] for row in rows))
    with drawing.new_figure(7.4, 3.3 * len(arches)) as figure:
        axes = figure.subplots(len(arches), 1, squeeze=False)[:, 0]
        for axis, arch in zip(axes, arches, strict=True):
            mine = [row for row in rows if row["arch"] == arch]
            for place, row in enumerate(mine):
                chosen = means[(means["arch"] == arch) & (means["width"] == row["variant"])]
                drawing.box(axis, place, chosen["dice"], row["variant"], width=0.5)
            axis.set_xticks(range(len(mine)), [f"{row['variant']}\n{row['parameters'] / 1e6:.2f} M, "
                                               f"{row['total_steps']:,} steps" for row in mine], fontsize=8)
            axis.set_ylabel("Dice")
            axis.set_title(f"{drawn(inputs.plan.dataset)}, {arch}: pruned to the pocket size, and trained from scratch")
            axis.grid(axis="y")
    return figure
