"""Predictions as a readable table: what fits, the headroom, and the largest batch and patch that fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ..contracts.profile import Limit, Predicted, ProfiledConfiguration
from .configuration import Configuration
from .devices import Device
from .predict import largest_batch, largest_patch

HEADER = ("network", "width", "patch", "batch", "parameters", "memory (MiB)", "fits", "headroom (MiB)", "step (s)",
          "patches/s")


def rows(entries: Sequence[ProfiledConfiguration]) -> list[tuple[str, ...]]:
    """Return one row per predicted configuration of `profile.json`."""
    found: list[tuple[str, ...]] = []
    for entry in entries:
        predicted = cast(Predicted, entry.predicted)
        left = predicted.usable_memory_mib - predicted.device_memory_mib
        found.append((entry.arch, entry.width, "×".join(map(str, entry.patch)), str(entry.batch),
                      f"{entry.parameters:,}", f"{predicted.device_memory_mib:,.0f}",
                      "fits" if predicted.fits else "doesn't fit", f"{left:,.0f}",
                      f"{predicted.step_seconds:.3f}", f"{predicted.patches_per_second:.2f}"))
    return found


def text(table: Sequence[Sequence[str]], header: Sequence[str] = HEADER, left: int = 3) -> str:
    """Align columns: the first `left` columns to the left, the others to the right."""
    lines = [header, *table]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join("  ".join(cell.ljust(width) if column < left else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
                     for line in lines)


def limits(wanted: Sequence[Configuration], device: Device) -> list[Limit]:
    """Find the largest batch for each network, width and patch, and the largest patch for the smallest batch.

    Returns:
        The limits. `largest_batch` is 0 if none fits, `batch` is the smallest requested, and `largest_patch` is None if
        none fits.
    """
    found: dict[tuple[str, str, tuple[int, ...]], Configuration] = {}
    for configuration in wanted:
        key = (configuration.network.arch, configuration.network.width, configuration.patch)
        if key not in found or configuration.batch < found[key].batch:
            found[key] = configuration
    return [Limit(arch, width, patch, largest_batch(configuration, device), configuration.batch,
                  largest_patch(configuration, device))
            for (arch, width, patch), configuration in found.items()]


def sentences(found: Sequence[Limit], device: Device) -> list[str]:
    """Format the limits as lines of text."""
    lines = []
    for one in found:
        patch = "×".join(map(str, one.patch))
        cube = "×".join(map(str, one.largest_patch)) if one.largest_patch else "none fits"
        lines.append(f"{one.arch} {one.width} on {device.title}: largest batch of {patch}: "
                     f"{one.largest_batch or 'none fits'}; largest patch with batch {one.batch}: {cube}")
    return lines


def origin(device: Device) -> str:
    """Describe the basis of the predictions."""
    memory = (f"{device.title}: {device.usable_mib:,.0f} MiB for the network, of {device.memory_mib:,.0f} MiB. "
              "Memory is predicted from the network's graph, fitted to training steps measured on a CPU")
    return memory + (". Times use rates measured on this device." if device.calibrated else
                     ". Times use the device's peak values and are not measured on it." if device.kind == "gpu" else
                     ". Times use rates of another CPU; --calibrate measures this one in under a minute.")
