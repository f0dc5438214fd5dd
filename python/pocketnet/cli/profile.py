"""`pocket-profile`: measure or predict memory, time and throughput of training steps and forward passes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import command, integers, json_option, log, output_option, quiet_option, result, split_list

if TYPE_CHECKING:
    from ..contracts.plan import Plan
    from ..contracts.profile import Profile, ProfiledConfiguration
    from ..profiling.configuration import Configuration
    from ..profiling.devices import Device

EXAMPLES = """
pocket-profile --plan out/plan.json --width pocket -o profile.json
pocket-profile --width full,pocket --channels 4 --patch 64 --batch 1,2,4,8 -o training.json
pocket-profile --arch unet,resnet,densenet,hrnet --width full,pocket --mode infer \\
    --patch 32 --patch 64 --patch 128 -o throughput.json
pocket-profile --predict --device t4 --arch unet --width full,pocket --patch 128 --batch 1..32
pocket-profile --predict --device my_gpu.json --plan out/plan.json --width pocket --plot figure_3.png
pocket-profile --calibrate this_machine.json
"""


@command("profile", examples=EXAMPLES)
@click.option("--plan", "plan_file", type=click.Path(path_type=Path),
              help="plan.json of pocket-plan; the options below override it. Default: the paper's networks.")
@click.option("--arch", help="Architectures (a list); pocket-models lists them. Default: unet, or the default of the "
              "plan's task.")
@click.option("--width", default="pocket", show_default=True, help="pocket, full or capped<feature maps> (a list).")
@click.option("--patch", multiple=True, metavar="X,Y,Z",
              help="Patch in voxels; one number applies to all axes; repeatable. Default: the plan's, or 128.")
@click.option("--batch", help="Batch sizes (a list, or a range 1..32). Default: the plan's, or 2; for infer, 1.")
@click.option("--mode", type=click.Choice(["train", "infer"]), default="train", show_default=True,
              help="Profile training steps, or forward passes of a saved network.")
@click.option("--predict", is_flag=True, help="Predict without running anything (same as --steps 0).")
@click.option("--device", help="Device to predict for: t4, v100, a100, h100, h200, cpu, or a device file "
              "(docs/profiling.md). Default: the device of this machine.")
@click.option("--calibrate", type=click.Path(path_type=Path), metavar="FILE",
              help="Measure this processor's rates in under a minute, write them as a device file, and predict for it.")
@click.option("--plot", is_flag=False, flag_value="figure_3.png", type=click.Path(path_type=Path), metavar="[PNG]",
              help="Draw memory and time over batch size with the paper's ranges (Figure 3). Default: figure_3.png.")
@click.option("--trace", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Write a TensorFlow Profiler trace of each configuration, for TensorBoard.")
@click.option("--engine", default="auto", show_default=True, help="For infer: auto, openvino or tensorflow.")
@click.option("--precision", help="For train: float32 (the default), mixed_float16 or mixed_bfloat16.")
@click.option("--accumulate", type=int, help="For train: batches per optimiser step. Default: 1.")
@click.option("--rematerialise", is_flag=True, help="For train: recompute blocks in the backward pass.")
@click.option("--loss", help="For train: the loss, as pocket-plan's --loss. Default: the plan's.")
@click.option("--dimensions", type=int, help="Without a plan: 2 or 3. Default: the paper's for the architecture.")
@click.option("--channels", type=int, help="Without a plan: input channels. Default: 1.")
@click.option("--classes", type=int, help="Without a plan: output channels, including the background. Default: 2.")
@click.option("--depth", type=int, help="Number of downsamplings. Default: the plan's; without a plan the paper's, or "
              "fewer if the coarsest level would be below 4 voxels.")
@click.option("--feature-maps", type=int, help="Feature maps of the finest level. Default: the plan's, or the paper's.")
@click.option("--convolution", help="standard or separable. Default: the plan's, or standard.")
@click.option("--steps", default=5, show_default=True, help="Steps to measure; 0 only predicts.")
@click.option("--warm-up", default=2, show_default=True, help="Unmeasured steps before them.")
@click.option("--threads", type=int, help="CPU threads. Default: all cores.")
@click.option("--seed", default=0, show_default=True, help="Seed of weights and patches.")
@output_option("The profile.json to write; needed unless the profile is only predicted.", required=False)
@quiet_option
@json_option
def main(plan_file: Path | None, arch: str | None, width: str, patch: tuple[str, ...], batch: str | None, mode: str,
         predict: bool, device: str | None, calibrate: Path | None, plot: Path | None, trace: Path | None, engine: str,
         precision: str | None, accumulate: int | None, rematerialise: bool, loss: str | None, dimensions: int | None,
         channels: int | None, classes: int | None, depth: int | None, feature_maps: int | None,
         convolution: str | None, steps: int, warm_up: int, threads: int | None, seed: int, output: Path | None,
         quiet: bool, as_json: bool) -> None:
    """Predict or measure peak memory, step time and throughput of training steps or forward passes.

    Each combination of --arch, --width, --patch and --batch is predicted from the network's graph. Without --predict it
    is also measured, in its own process. A configuration that does not fit in memory is recorded with status
    out_of_memory. If it is the only measured configuration of a plan, the command fails with exit code 4, so that the
    training does not start.
    """
    from .. import outputs
    from ..contracts.plan import Plan
    from ..errors import UsageError
    from ..models.network import check_arch
    from ..profiling import wanted

    if steps < 0 or warm_up < 0:
        raise UsageError(f"--steps and --warm-up cannot be negative. Received: {steps}, {warm_up}")
    predict = predict or calibrate is not None or steps == 0
    if not predict and output is None:
        raise UsageError("-o/--output is required: the path of profile.json.", todo="Give it, or --predict.")
    written = {path: kind for path, kind in ((output, "profile"), (plot, None), (calibrate, None)) if path}
    outputs.check_files(written, [plan_file] if plan_file else [])
    plan = Plan.read(plan_file) if plan_file else None
    shape = {"dimensions": dimensions, "channels": channels, "classes": classes, "depth": depth,
             "feature_maps": feature_maps, "convolution": convolution}
    common = {"mode": mode, "engine": engine, "steps": 0 if predict else steps, "warm_up": warm_up, "threads": threads,
              "seed": seed, "device": device, "trace": str(trace.absolute()) if trace else None}
    sizes = wanted.batches(batch)
    configurations = [
        configuration
        for a, w, p in itertools.product(split_list(arch) or [plan.default_arch if plan else "unet"],
                                         split_list(width), patch or [None])
        for configuration in wanted.configurations(
            plan, check_arch(a), w, integers(p, "--patch"), sizes,
            {k: v for k, v in shape.items() if v is not None}, loss, precision, common,
            accumulate, rematerialise)]
    if predict:
        profile, text = _predicted(configurations, calibrate, quiet)
    else:
        profile, text = _measured(configurations, plan, quiet), ""
    _finish(profile, output, plot, as_json, text, quiet)


def _predicted(configurations: list[Configuration], calibrate: Path | None, quiet: bool) -> tuple[Any, ...]:
    """Predict each configuration; return the profile and its table as text."""
    from .. import backend

    first = configurations[0]
    backend.configure(*(first.threads, first.seed) if calibrate else (None, None))
    from ..contracts.profile import Profile
    from ..contracts.provenance import Hardware
    from ..errors import UsageError
    from ..profiling import devices, predict, sweep, table

    device = devices.load(first.device) if first.device else devices.of_this_machine()
    if calibrate:
        device = _calibrated(calibrate, first.threads, quiet)
    if device is None:
        raise UsageError("This machine's device is not in the list of known devices.",
                         todo="Give --device, with a device file if necessary (docs/profiling.md).")
    entries = [sweep.entry(one, predict.describe(one, device)) for one in configurations]
    limits = table.limits(configurations, device)
    text = "\n".join([table.text(table.rows(entries)), "", *table.sentences(limits, device), "", table.origin(device)])
    return Profile(Hardware(**backend.hardware()), tuple(entries), tuple(limits)), text


def _calibrated(path: Path, threads: int | None, quiet: bool) -> Device:
    """Measure this processor's rates, write them as a device file, and load it."""
    from ..profiling import devices
    from ..profiling.calibrate import calibrate

    found = calibrate(devices.this_processor(), threads, lambda line: log(f"calibration: {line}", quiet))
    devices.write_processor(path, found)
    return devices.load(str(path))


def _measured(configurations: list[Configuration], plan: Plan | None, quiet: bool) -> Profile:
    """Measure each configuration and return the profile.

    Raises:
        DeviceMemoryError: If the only configuration of a plan does not fit in memory.
    """
    from ..contracts.profile import Profile
    from ..contracts.provenance import Hardware
    from ..errors import DeviceMemoryError
    from ..profiling import sweep

    entries, hardware = [], None
    for number, configuration in enumerate(configurations, 1):
        entry, seen = sweep.measure(configuration)
        entries.append(entry)
        hardware = hardware or seen
        count = f"{number}/{len(configurations)} " if len(configurations) > 1 else ""
        log(count + _line(configuration, entry), quiet)
    first = entries[0]
    if plan and len(entries) == 1 and first.measured and first.measured.status == "out_of_memory":
        raise DeviceMemoryError(f"{configuration.describe()}: {first.measured.reason}.",
                                todo="Use a smaller --patch or --batch.")
    return Profile(hardware or Hardware(), tuple(entries))


def _finish(profile: Profile, output: Path | None, plot: Path | None, as_json: bool, text: str, quiet: bool) -> None:
    """Write the requested files and print the result; raise an error if configurations failed."""
    if output:
        profile.write(output)
    if plot:
        _draw(profile.configurations, plot)
    result(profile.to_json(), as_json, text, quiet)
    failed = [one.measured.reason for one in profile.configurations if one.measured and one.measured.status == "failed"]
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(profile.configurations)} configurations failed for a "
                                   f"reason other than memory, the first: {failed[0]}")


def _draw(entries: Sequence[ProfiledConfiguration], path: Path) -> None:
    """Draw Figure 3 as a PNG, written atomically."""
    from importlib import import_module

    from .. import files
    from ..errors import UsageError

    entries = [entry for entry in entries if entry.mode == "train"]
    if not entries:
        raise UsageError("Figure 3 shows training steps.", todo="Leave out --mode infer, or --plot.")
    # Imported by name, so that figures are not part of this step's code checksum (pocketnet/code.py).
    figures = import_module("pocketnet.experiments.profile")
    rows = figures.rows_of(entries, predicted=all(entry.measured is None for entry in entries))
    with files.atomic(path) as temporary:
        figures.figure(rows).savefig(temporary, dpi=150)


def _line(configuration: Configuration, entry: ProfiledConfiguration) -> str:
    """Format an entry as text."""
    words = [configuration.describe()]
    if entry.parameters:
        words.append(f"{entry.parameters:,} parameters")
    predicted, measured = entry.predicted, entry.measured
    if predicted:
        words.append(f"predicted {predicted.device_memory_mib:,.0f} MiB, {predicted.step_seconds:.3f} s")
    if measured and measured.status == "ok":
        memory = measured.device_memory_mib or measured.host_memory_growth_mib
        words.append(f"measured {memory:,.0f} MiB, {measured.step_seconds:.3f} s a step, "
                     f"{measured.patches_per_second:.2f} patches a second")
    elif measured:
        words.append(f"{measured.status}: {measured.reason}")
    return "; ".join(words)


if __name__ == "__main__":
    main()
