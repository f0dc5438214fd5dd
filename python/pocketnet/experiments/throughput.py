"""Table III: inference throughput in patches per second, by patch size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..contracts.profile import ProfiledConfiguration
from ..evaluation.layout import markdown_table
from ..evaluation.verdict import arch_name
from ..text import counted
from . import drawing
from .inputs import Inputs
from .outcome import Outcome, published, published_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = ("full", "pocket")


def speed_up_percent(full: float, pocket: float) -> float:
    """Return the paper's "% speed-up": the gain relative to the pocket network's throughput, as its numbers show."""
    return 100 * (pocket - full) / pocket


def tabulate(inputs: Inputs) -> Outcome:
    """Draw one row per patch size, architecture and width, with the paper's speed-up and the ratio pocket / full."""
    found = [entry for entry in inputs.configurations if entry.mode == "infer"]
    inputs.need(measured=found)
    sizes = list(dict.fromkeys(entry.patch for entry in sorted(found, key=lambda e: e.patch)))
    arches = list(dict.fromkeys(entry.arch for entry in found))
    by_key = {(entry.patch, entry.arch, entry.width): entry for entry in found}
    rows, table = [], []
    for size in sizes:
        paper = published()["table_3"].get(str(size[0]), {}) if len(set(size)) == 1 and len(size) == 3 else {}
        for arch in published_order(arches):
            ours = {width: _throughput(by_key.get((size, arch, width))) for width in WIDTHS}
            for width in WIDTHS:
                if (size, arch, width) in by_key:
                    row = _row(size, by_key[size, arch, width], ours, paper.get(arch))
                    rows.append(row)
                    table.append(_cells(row))
    header = ["Image size", "Architecture", "Variant", "Throughput (patches/s)", "% speed-up (paper's formula)",
              "pocket / full", "published: throughput (image/s)", "% speed-up", "pocket / full"]
    network = inputs.plan.network
    engines = sorted({entry.engine or "" for entry in found} - {""})
    notes = ["% speed-up as in the paper: (pocket − full) / pocket · 100, that is, divided by the pocket network's "
             "throughput; 5.89 for its 17.86 and 18.98. Pocket / full is the plain ratio of throughputs.",
             "Published: one NVIDIA RTX 8000, 32 first feature maps, depth 5. The paper's text says up to 12 % for "
             "U-shaped networks and up to 17 % for HRNet; its table has 12.54 and 16.53.",
             f"Here: batch {', '.join(sorted({str(entry.batch) for entry in found}))}, {network.feature_maps} "
             f"first feature maps, depth {network.depth}, "
             f"{counted(network.channels, 'input channel')}; one configuration after the other, each in its own process"
             f"{', engine ' + ', '.join(engines) if engines else ''}."]
    return Outcome(rows, markdown_table(header, table, numeric=3), _figure(by_key, sizes, published_order(arches)),
                   "Patches a second at inference: full and pocket of each architecture; each patch size on a scale "
                   "of its own. The paper has this as a table only.", notes,
                   {"patches": [list(size) for size in sizes], "architectures": arches})


def _throughput(entry: ProfiledConfiguration | None) -> float | None:
    measured = entry and entry.measured
    return measured.patches_per_second if measured and measured.status == "ok" else None


def _row(size: tuple[Any, ...], entry: ProfiledConfiguration, ours: dict[str, Any],
         paper: dict[str, Any] | None) -> dict[str, Any]:
    width, paper = entry.width, paper or {}
    pocket = width == "pocket"
    both = pocket and ours["full"] and ours["pocket"]
    return {"image_size": "×".join(map(str, size)), "arch": entry.arch, "width": width,
            "parameters": entry.parameters, "status": entry.measured.status if entry.measured else "ok",
            "patches_per_second": ours[width],
            "speed_up_percent": speed_up_percent(ours["full"], ours["pocket"]) if both else None,
            "ratio": ours["pocket"] / ours["full"] if both else None,
            "published_images_per_second": paper.get(width),
            "published_speed_up_percent": paper.get("speed_up_percent") if pocket else None,
            "published_ratio": paper["pocket"] / paper["full"] if pocket and paper else None}


def _cells(row: dict[str, Any]) -> list[str]:
    def text(name: str, form: str) -> str:
        return "" if row[name] is None else format(row[name], form)

    missing = {"out_of_memory": "does not fit", "failed": "failed"}.get(row["status"], "–")
    measured = text("patches_per_second", ".2f") or missing
    return [row["image_size"], arch_name(row["arch"]), row["width"], measured, text("speed_up_percent", ".2f"),
            text("ratio", ".3f"), text("published_images_per_second", ".2f"),
            text("published_speed_up_percent", ".2f"), text("published_ratio", ".3f")]


def _figure(by_key: dict[tuple[tuple[int, ...], str, str], ProfiledConfiguration],
            sizes: list[tuple[int, ...]], arches: list[str]) -> Figure:
    with drawing.new_figure(2.6 * len(sizes) + 1, 3.0) as figure:
        axes = figure.subplots(1, len(sizes), squeeze=False)[0]
        for axis, size in zip(axes, sizes, strict=True):
            for place, arch in enumerate(arches):
                for side, width in ((-0.2, "full"), (0.2, "pocket")):
                    value = _throughput(by_key.get((size, arch, width)))
                    if value:
                        drawing.bar(axis, place + side, value, width)
                    elif (size, arch, width) in by_key:
                        drawing.absent(axis, place + side)
            axis.margins(y=0.3)  # room for the legend
            axis.set_ylim(bottom=0)
            axis.set_xticks(range(len(arches)), [arch_name(arch) for arch in arches], rotation=20)
            axis.set_title("×".join(map(str, size)))
            axis.grid(axis="y")
        axes[0].set_ylabel("patches a second")
        drawing.legend(axes[0], list(WIDTHS), loc="upper right", ncols=2, fontsize=8)
    return figure
