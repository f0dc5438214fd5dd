"""pocket-profile: memory, time and throughput of training steps and forward passes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import click

from .common import command, integers, json_option, output_option, quiet_option, result, say, split_list

EXAMPLES = """
pocket-profile --plan out/plan.json --width pocket -o profile.json
pocket-profile --plan out/plan.json --width full --steps 0 -o profile.json
pocket-profile --width full,pocket --channels 4 --patch 64 --batch 1,2,4,8 -o training.json
pocket-profile --arch unet,resnet,densenet,hrnet --width full,pocket --mode infer \\
    --patch 32 --patch 64 --patch 128 -o throughput.json
"""


@command("profile", examples=EXAMPLES)
@click.option("--plan", "plan_file", type=click.Path(path_type=Path),
              help="plan.json of pocket-plan; the options below override it. Default: the paper's networks.")
@click.option("--arch", help="Architectures (a list); pocket-models names them. Default: unet, or the plan's task's.")
@click.option("--width", default="pocket", show_default=True, help="pocket, full or capped<feature maps> (a list).")
@click.option("--patch", multiple=True, metavar="X,Y,Z",
              help="Patch in voxels, one number for all axes; may be given several times. Default: the plan's, or 128.")
@click.option("--batch", help="Batch sizes (a list). Default: the plan's, or 2; to infer, 1.")
@click.option("--mode", type=click.Choice(["train", "infer"]), default="train", show_default=True,
              help="Training steps, or forward passes of a saved network.")
@click.option("--engine", default="auto", show_default=True, help="For infer: auto, openvino or tensorflow.")
@click.option("--precision", help="For train: float32 (the default), mixed_float16 or mixed_bfloat16.")
@click.option("--loss", help="For train: l2_dice, dice_cross_entropy or cross_entropy. Default: the plan's.")
@click.option("--dimensions", type=int, help="Without a plan: 2 or 3. Default: the paper's for the architecture.")
@click.option("--channels", type=int, help="Without a plan: input channels. Default: 1.")
@click.option("--classes", type=int, help="Without a plan: output channels, background included. Default: 2.")
@click.option("--depth", type=int, help="Downsamplings. Default: the plan's, or at most the paper's, down to 4 voxels.")
@click.option("--feature-maps", type=int, help="Feature maps of the finest level. Default: the plan's, or the paper's.")
@click.option("--convolution", help="standard or separable. Default: the plan's, or standard.")
@click.option("--steps", default=5, show_default=True, help="Steps to measure; 0 predicts only.")
@click.option("--warm-up", default=2, show_default=True, help="Steps before them that do not count.")
@click.option("--threads", type=int, help="CPU threads. Default: all cores.")
@click.option("--seed", default=0, show_default=True, help="Of weights and patches.")
@output_option("The profile.json to write.")
@quiet_option
@json_option
def main(plan_file, arch, width, patch, batch, mode, engine, precision, loss, dimensions, channels, classes, depth,
         feature_maps, convolution, steps, warm_up, threads, seed, output, quiet, as_json):
    """Measure peak memory, step time and throughput, each configuration in a process of its own.

    Every combination of --arch, --width, --patch and --batch is measured. One that does not fit in memory is a
    result like the others (status out_of_memory), except for a single configuration of a plan: that is refused
    with exit code 4, so that nothing is trained that cannot be.
    """
    from .. import files
    from ..config import Plan
    from ..errors import DeviceMemoryError, UsageError
    from ..models.network import check_arch
    from ..profiling import sweep

    if steps < 0 or warm_up < 0:
        raise UsageError(f"--steps and --warm-up cannot be negative. Received: {steps}, {warm_up}")
    plan = Plan.read(plan_file) if plan_file else None
    shape = {"dimensions": dimensions, "channels": channels, "classes": classes, "depth": depth,
             "feature_maps": feature_maps, "convolution": convolution}
    common = {"mode": mode, "engine": engine, "steps": steps, "warm_up": warm_up, "threads": threads, "seed": seed}
    wanted = [configuration
              for a, w, p in itertools.product(split_list(arch) or [plan.default_arch if plan else "unet"],
                                       split_list(width), patch or [None])
              for configuration in _configurations(
                  plan, check_arch(a), w, integers(p, "--patch"), integers(batch, "--batch"),
                  {k: v for k, v in shape.items() if v is not None}, loss, precision, common)]
    entries, hardware = [], None
    for number, configuration in enumerate(wanted, 1):
        entry, seen = sweep.measure(configuration)
        entries.append(entry)
        hardware = hardware or seen
        say((f"{number}/{len(wanted)} " if len(wanted) > 1 else "") + _line(configuration, entry), quiet)
    first = entries[0]
    if plan and len(entries) == 1 and (first["measured"] or {}).get("status") == "out_of_memory":
        raise DeviceMemoryError(f"{configuration.describe()}: {first['measured']['reason']}.",
                                todo="Use a smaller --patch or --batch.")
    files.write_json(output, {"hardware": hardware or {}, "configurations": entries}, "profile")
    result({"hardware": hardware, "configurations": entries}, as_json)
    failed = [e["measured"]["reason"] for e in entries if e["measured"] and e["measured"]["status"] == "failed"]
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(entries)} configurations failed for a reason other than "
                                   f"memory, the first: {failed[0]}")


def _configurations(plan, arch, width, patch, batches, shape, loss, precision, common):
    """The configurations of one architecture, width and patch, checked before anything is built.

    Raises:
        UsageError: One that cannot be built.
    """
    from ..config import LOSS_NAMES, PRECISIONS
    from ..errors import UsageError
    from ..inference.engines import ENGINES
    from ..models.network import PAPER_SHAPES, Network
    from ..planning.patch import pooling_of_patch
    from ..profiling.configuration import Configuration

    infer = common["mode"] == "infer"
    if infer and precision not in (None, "float32"):
        raise UsageError(f"Inference is in float32. Received: --precision {precision}")
    for name, value, known in (("--precision", precision, PRECISIONS), ("--loss", loss, LOSS_NAMES),
                               ("--engine", common["engine"], ENGINES)):
        if value is not None and value not in known:
            raise UsageError(f"Unknown {name} '{value}'.", todo=f"Use one of: {', '.join(known)}.")
    if plan:
        network = plan.network_of(arch, width)
        patch, settings = patch or plan.training.patch, plan.training
    else:
        network = Network(arch=arch, width=width, **PAPER_SHAPES[arch] | shape)
        patch, settings = patch or [256 if network.dimensions == 2 else 128], None
    patch = tuple(patch) * network.dimensions if len(patch) == 1 else tuple(patch)
    if not plan:
        pooling = pooling_of_patch(patch, [1.0] * network.dimensions, PAPER_SHAPES[arch]["depth"])
        shape = {"depth": len(pooling)} | shape
    if shape.get("depth", network.depth) != network.depth:
        shape = shape | {"pooling": ()}
    network = replace(network, **shape)
    network.check_patch(patch)
    default_loss = settings.loss if settings else "cross_entropy" if arch == "classifier" else "l2_dice"
    for size in batches or [1 if infer else settings.batch if settings else 32 if arch == "classifier" else 2]:
        if size < 1:
            raise UsageError(f"--batch must be at least 1. Received: {size}")
        yield Configuration(
            network, patch, size, loss=loss or default_loss,
            precision="float32" if infer else precision or (settings.precision if settings else "float32"),
            clip_norm=settings.clip_norm if settings else None,
            learning_rate=settings.learning_rate if settings else 0.001, **common)


def _line(configuration, entry: dict) -> str:
    """An entry for a person."""
    words = [configuration.describe()]
    if entry["parameters"]:
        words.append(f"{entry['parameters']:,} parameters")
    if entry["predicted"]:
        words.append(f"predicted {entry['predicted']['host_memory_mib']:,.0f} MiB")
    measured = entry["measured"]
    if measured and measured["status"] == "ok":
        memory = measured["device_memory_mib"] or measured["host_memory_mib"]
        words.append(f"measured {memory:,.0f} MiB, {measured['step_seconds']:.3f} s a step, "
                     f"{measured['patches_per_second']:.2f} patches a second")
    elif measured:
        words.append(f"{measured['status']}: {measured['reason']}")
    return "; ".join(words)


if __name__ == "__main__":
    main()
