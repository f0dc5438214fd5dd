"""Figure 3: peak memory and time of a training step, by batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..contracts.profile import Measured, ProfiledConfiguration
from ..evaluation.layout import markdown_table
from ..evaluation.verdict import arch_name
from . import drawing
from .inputs import Inputs
from .outcome import Outcome, published

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = ("full", "pocket")


def saving_percent(full: float | None, pocket: float | None) -> float | None:
    """Return the saving of the pocket network relative to the full one, in per cent."""
    return 100 * (full - pocket) / full if full and pocket is not None else None


def memory_of(entry: ProfiledConfiguration | None) -> tuple[float | None, str]:
    """Return the peak memory in MiB of a measured configuration, and where it was measured.

    This is the peak of the device's allocator (`device`), or without a device the growth of the process's resident
    memory (`process`).
    """
    measured = _measured(entry)
    if measured is None:
        return None, "process"
    if measured.device_memory_mib is not None:
        return measured.device_memory_mib, "device"
    return measured.host_memory_growth_mib, "process"


def tabulate(inputs: Inputs) -> Outcome:
    """Draw one row per batch and width, with the savings, including configurations that do not fit."""
    found = [entry for entry in inputs.configurations if entry.mode == "train"]
    inputs.need(measured=found)
    paper = published()["figure_3"]
    rows = rows_of(found)
    header = ["Architecture", "Patch", "Batch", "Variant", "Peak memory (MiB)", "predicted (MiB)", "Time per step (s)",
              "predicted (s)", "memory saved (%)", "time saved (%)"]
    low, high = paper["memory_saving_percent"]
    fast, faster = paper["time_saving_percent"]
    notes = [f"The paper's ranges over its batch sizes: memory saved {low} to {high} %, time saved {fast} to {faster} "
             "% (BraTS, 128³ patches, NVIDIA T4 with 16 GB); its bars are in a figure, so not published as numbers."]
    if "process" in {row["memory"] for row in rows}:
        notes.append("No GPU here: memory is by how much the process's resident memory grew over the libraries', "
                     "which is coarser than a GPU allocator's count.")
    if any(row["status"] != "ok" for row in rows):
        notes.append("\"Does not fit\": the configuration needs more memory than there is.")
    return Outcome(rows, markdown_table(header, [_cells(row) for row in rows], numeric=2), figure(rows),
                   "Peak memory (left) and time (right) of a training step by batch size, full and pocket, and below "
                   "what the pocket network saves; the bands are the paper's ranges. A cross marks a configuration "
                   "that does not fit.", notes, {"batches": sorted({row["batch"] for row in rows})})


def rows_of(found: Sequence[ProfiledConfiguration], predicted: bool = False) -> list[dict[str, Any]]:
    """Return one row per configuration of a training step: memory, time, and pocket's savings relative to full.

    Args:
        found: Configurations of `profile.json`.
        predicted: Whether to use predictions instead of measurements, even for configurations that do not fit.
    """
    groups: dict[tuple[Any, ...], dict[str, ProfiledConfiguration]] = {}
    for entry in found:
        groups.setdefault((entry.arch, entry.patch, entry.batch), {})[entry.width] = entry
    rows = []
    for (arch, patch, batch), widths in sorted(groups.items(), key=lambda item: item[0]):
        values = {width: _values(entry, predicted) for width, entry in widths.items()}
        for width, entry in widths.items():
            measured = _measured(entry)
            saved = {f"{kind}_saving_percent": saving_percent(values["full"][number], values["pocket"][number])
                     if width == "pocket" and "full" in values else None
                     for number, kind in enumerate(("memory", "time"))}
            rows.append({
                "arch": arch, "patch": "×".join(map(str, patch)), "batch": batch, "width": width,
                "parameters": entry.parameters, "status": _status(entry, predicted),
                "memory": memory_of(entry)[1], "peak_memory_mib": values[width][0], "step_seconds": values[width][1],
                "step_seconds_sd": measured and measured.step_seconds_sd,
                "process_peak_mib": measured and measured.host_memory_mib,
                "predicted_memory_mib": entry.predicted and entry.predicted.device_memory_mib,
                "predicted_step_seconds": entry.predicted and entry.predicted.step_seconds, **saved})
    return rows


def _values(entry: ProfiledConfiguration, predicted: bool) -> tuple[float | None, float | None]:
    """Return the memory in MiB and the time of a step in seconds."""
    if predicted:
        return (entry.predicted.device_memory_mib, entry.predicted.step_seconds) if entry.predicted else (None, None)
    measured = _measured(entry)
    return memory_of(entry)[0], measured.step_seconds if measured else None


def _measured(entry: ProfiledConfiguration | None) -> Measured | None:
    measured = entry and entry.measured
    return measured if measured and measured.status == "ok" else None


def _status(entry: ProfiledConfiguration, predicted: bool) -> str:
    if predicted:
        return "ok" if entry.predicted and entry.predicted.fits else "out_of_memory"
    return entry.measured.status if entry.measured else "not measured"


def _cells(row: dict[str, Any]) -> list[str]:
    def text(name: str, form: str, otherwise: str = "") -> str:
        return otherwise if row[name] is None else format(row[name], form)

    missing = "does not fit" if row["status"] == "out_of_memory" else "–"
    return [arch_name(row["arch"]), row["patch"], str(row["batch"]), row["width"],
            text("peak_memory_mib", ",.0f", missing), text("predicted_memory_mib", ",.0f"),
            text("step_seconds", ".3f", missing), text("predicted_step_seconds", ".3f"),
            text("memory_saving_percent", ".1f"), text("time_saving_percent", ".1f")]


def figure(rows: list[dict[str, Any]]) -> Figure:
    """Draw bars by batch and width, and the savings with the paper's ranges, for each network and patch."""
    paper = published()["figure_3"]
    groups = list(dict.fromkeys((row["arch"], row["patch"]) for row in rows))
    panels = (("peak_memory_mib", "peak memory (MiB)", "memory_saving_percent", "memory saved (%)"),
              ("step_seconds", "time per step (s)", "time_saving_percent", "time saved (%)"))
    with drawing.new_figure(7.2, 4.6 * len(groups)) as canvas:
        axes = canvas.subplots(2 * len(groups), 2, squeeze=False, height_ratios=[2, 1] * len(groups))
        for number, (arch, patch) in enumerate(groups):
            mine = [row for row in rows if (row["arch"], row["patch"]) == (arch, patch)]
            batches = sorted({row["batch"] for row in mine})
            too_large = {row["batch"] for row in mine if row["status"] == "out_of_memory"}
            for column, (value, title, saving, saving_title) in enumerate(panels):
                upper, lower = axes[2 * number, column], axes[2 * number + 1, column]
                for row in mine:
                    place = batches.index(row["batch"]) + (-0.2 if row["width"] == "full" else 0.2)
                    if row["status"] == "out_of_memory":
                        drawing.absent(upper, place)
                    elif row[value] is not None:
                        drawing.bar(upper, place, row[value], row["width"])
                upper.set_title(f"{arch_name(arch)}, patch {patch}: {title}")
                upper.grid(axis="y")
                upper.set_ylim(bottom=0)
                low, high = paper[saving]
                lower.axhspan(low, high, color="#9a9b9c", alpha=0.3, linewidth=0)
                lower.set_title(f"band: the paper's {low} to {high} %", fontsize=7.5, loc="right")
                points = [(batches.index(row["batch"]), row[saving]) for row in mine
                          if row[saving] is not None and row["batch"] not in too_large]
                lower.plot([x for x, _ in points], [y for _, y in points], color=drawing.colour("pocket"), marker="o")
                lower.axhline(0, color=drawing.FAINT, linewidth=0.8)
                lower.set_ylabel(saving_title)
                lower.set_xlabel("batch")
                for axis in (upper, lower):
                    axis.set_xticks(range(len(batches)), batches)
                    axis.set_xlim(-0.6, len(batches) - 0.4)
                lower.set_ylim(min([0, *(y for _, y in points)]) - 5, max([high, *(y for _, y in points)]) + 5)
            drawing.legend(axes[2 * number, 0], list(WIDTHS), loc="upper left", fontsize=8)
    return canvas
