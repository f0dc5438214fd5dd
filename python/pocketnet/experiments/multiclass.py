"""Figure 6: accuracy of a multi-class segmentation, with a picture of one case."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..evaluation import cases
from ..evaluation.comparison import label_order
from ..evaluation.layout import markdown_table, number
from ..evaluation.metrics import PAPER_METRICS
from ..evaluation.overlay import label_maps
from ..evaluation.segmentation.layout import TITLES
from ..evaluation.verdict import arch_name
from ..preprocessing import geometry
from ..preprocessing.recorded import check_recorded
from .inputs import Inputs
from .outcome import Outcome

if TYPE_CHECKING:
    from pathlib import Path


def tabulate(inputs: Inputs) -> Outcome:
    """Draw one row per label, and a picture of the case with the median mean Dice."""
    inputs.need(comparison=inputs.comparison, evaluations=inputs.rows, predictions=inputs.predictions,
                input=inputs.input)
    labels = inputs.manifest.labels
    rows, table = [], []
    networks = sorted(inputs.compared.networks,
                      key=lambda row: (row.arch, row.width, label_order(inputs.compared).index(row.label)))
    for row in networks:
        rows.append({"arch": row.arch, "width": row.width, "parameters": row.parameters, "label": row.label,
                     "cases": row.cases, "undefined": row.metrics["dice"].undefined,
                     **{f"{metric}_{key}": getattr(row.metrics[metric], key) for metric in PAPER_METRICS
                        for key in ("mean", "sd", "median")}})
        table.append([arch_name(row.arch), row.width, f"{row.parameters / 1e6:.3f}", row.label,
                      str(row.cases)]
                     + [text for metric in PAPER_METRICS for text in
                        (f"{number(row.metrics[metric].mean, metric)} ± "
                         f"{number(row.metrics[metric].sd, metric)}",
                         number(row.metrics[metric].median, metric))])
    header = ["Architecture", "Variant", "Parameters (M)", "Label", "Cases"]
    for metric in PAPER_METRICS:
        header += [f"{TITLES[metric]}, mean ± sd", "median"]
    arch, width = networks[0].arch, networks[0].width
    tested = inputs.measured["case"].nunique()
    case, dice = _median_case(inputs, arch, width)
    entry = next(entry for entry in inputs.manifest.cases if entry.case == case)
    folder, predictions = cast("Path", inputs.input), cast("Path", inputs.predictions)
    check_recorded(entry, folder, [entry.images[0], cast(str, entry.label)])
    image = geometry.read(folder / entry.images[0]).data
    pair = cases.read_pair(folder / cast(str, entry.label), cases.prediction_path([predictions], case), labels,
                           inputs.manifest.label_grid, inputs.manifest.ignore)
    scores = ", ".join(f"{name} {'–' if value != value else f'{value:.3f}'}" for name, value in dice.items())
    figure = label_maps(image, *pair, labels, f"{case} · {width} {arch_name(arch)} · Dice: {scores}")
    return Outcome(rows, markdown_table(header, table, numeric=4), figure,
                   f"Case {case}, the median of the {tested} test cases by mean Dice: reference "
                   f"(above) and prediction of the {width} {arch_name(arch)} (below) in three planes. Dice: {scores}.",
                   ["The paper shows one BraTS case of a Pocket DenseNet; its Dice scores stand in the picture: not "
                    "published as numbers in its text.",
                    "Each test case by the network that has not seen it."], {"pictured": case})


def _median_case(inputs: Inputs, arch: str, width: str) -> tuple[str, dict[str, float]]:
    """Return the median case by mean Dice over labels, and its Dice per label."""
    mine = inputs.measured[(inputs.measured["arch"] == arch) & (inputs.measured["width"] == width)]
    means = mine.groupby("case")["dice"].mean().dropna().sort_values(kind="stable")
    case = means.index[len(means) // 2]
    return case, mine[mine["case"] == case].set_index("label")["dice"].to_dict()
