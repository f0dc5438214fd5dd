"""Table IV: accuracy by the depth at which the doubling of feature maps stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..contracts.comparison import MEAN
from ..contracts.plan import NetworkPlan
from ..evaluation.layout import interval_text, markdown_table, number, p_equivalence, p_text, pair_of
from ..models.widths import parse_width
from ..text import drawn
from . import drawing
from .inputs import Inputs
from .outcome import Outcome, published

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def most_feature_maps(network: NetworkPlan, width: str) -> int:
    """Return the number of feature maps at the coarsest resolution, the most of any convolution.

    Args:
        network: Network section of the plan.
        width: Width policy as text; see `widths.parse_width`.
    """
    return parse_width(width).feature_maps(network.feature_maps, network.depth)


def tabulate(inputs: Inputs) -> Outcome:
    """Draw one row per width, from full (doubling never stops) to pocket (it never starts)."""
    inputs.need(comparison=inputs.comparison, evaluations=inputs.rows)
    network = inputs.plan.network
    deepest = network.depth
    rows, table = [], []
    means = [row for row in inputs.compared.networks if row.label == MEAN]
    paper = {entry["depth"]: entry for entry in published()["table_4"]}
    for arch in dict.fromkeys(row.arch for row in means):
        for row in sorted((row for row in means if row.arch == arch), key=lambda row: -row.parameters):
            most = most_feature_maps(network, row.width)
            stops = deepest - (most // network.feature_maps).bit_length() + 1
            # The paper's network has depth 5: match rows by the depths without doubling, and pocket to pocket.
            theirs = paper[5] if stops == deepest else paper.get(stops)
            dice, pair = row.metrics["dice"], pair_of(inputs.compared, row, "dice")
            entry = {"arch": arch, "width": row.width, "stops_after_depth": stops, "most_feature_maps": most,
                     "parameters": row.parameters, "cases": dice.n, "dice_mean": dice.mean,
                     "dice_sd": dice.sd, "dice_median": dice.median, "difference_to_full": pair and pair.difference,
                     "p_value": pair and pair.p_value, "p_holm": pair and pair.p_holm,
                     "p_equivalence": p_equivalence(pair),
                     "published_most_feature_maps": theirs and theirs["most_feature_maps"],
                     "published_parameters_m": theirs and theirs["parameters_m"],
                     "published_dice_mean": theirs and theirs["dice"]["mean"],
                     "published_dice_sd": theirs and theirs["dice"]["sd"],
                     "published_dice_median": theirs and theirs["dice"]["median"]}
            rows.append(entry)
            table.append([
                f"d = {stops}{' i.e. full' if not stops else ' i.e. pocket' if stops == deepest else ''}", arch,
                str(most), f"{row.parameters / 1e6:.3f}", f"{number(dice.mean, 'dice')} ± "
                f"{number(dice.sd, 'dice')}", number(dice.median, "dice"),
                f"{number(pair.difference, 'dice', True)} {interval_text(pair.interval, 'dice')}" if pair else "",
                p_text(pair.p_value) if pair else "", p_text(pair.p_holm) if pair else "",
                f"{theirs['most_feature_maps']}" if theirs else "–",
                f"{theirs['parameters_m']:.2f}" if theirs else "–",
                f"{theirs['dice']['mean']:.3f} ± {theirs['dice']['sd']:.3f}" if theirs else "–",
                f"{theirs['dice']['median']:.3f}" if theirs else "–"])
    header = ["Doubling stops after depth", "Architecture", "Most feature maps", "Parameters (M)", "Dice, mean ± sd",
              "median", "Difference to full [95 %]", "p", "p, Holm", "published: most", "parameters (M)",
              "Dice, mean ± sd", "median"]
    notes = ["Dice over labels, each test case by the network that has not seen it. p: two-sided Wilcoxon signed-rank "
             "against full, paired by case; Holm over the rows. A p above 0.05 is not equivalence.",
             "Published: LiTS liver, U-Net, depth 5, 32 first feature maps (Table IV). The paper counts d from the "
             "coarsest level; it prints its last two rows as \"d = 5\" and \"d = 1\", d = 4 and 5 by their maps."]
    if deepest != 5:
        notes.append(f"This plan's network has depth {deepest} and {network.feature_maps} first feature maps, the "
                     "paper's 5 and 32: rows stand beside those that stop as many depths from the coarsest, pocket "
                     "beside pocket.")
    return Outcome(rows, markdown_table(header, table, numeric=2), _figure(inputs, rows),
                   "Dice by case for each width: box from the first to the third quartile, whiskers from the 5th to "
                   "the 95th percentile, line the median, diamond the mean. The paper has this as a table only.",
                   notes, {"widths": [row["width"] for row in rows]})


def _figure(inputs: Inputs, rows: list[dict[str, Any]]) -> Figure:
    means = inputs.measured.groupby(["arch", "width", "case", "fold"], as_index=False)["dice"].mean()
    with drawing.new_figure(1.6 + 1.0 * len(rows), 3.2) as figure:
        axis = figure.subplots()
        for place, row in enumerate(rows):
            mine = means[(means["arch"] == row["arch"]) & (means["width"] == row["width"])]
            drawing.box(axis, place, mine["dice"], row["width"], width=0.5)
        axis.set_xticks(range(len(rows)), [f"{row['width']}\nd = {row['stops_after_depth']}\n"
                                           f"{row['parameters'] / 1e6:.2f} M" for row in rows])
        axis.set_ylabel("Dice")
        axis.set_title(f"{drawn(inputs.plan.dataset)}: where the doubling of feature maps stops")
        axis.grid(axis="y")
    return figure
