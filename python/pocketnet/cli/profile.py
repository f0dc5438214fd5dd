"""pocket-profile: memory and time of a training step, predicted and measured."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, output_option, quiet_option, result, say

EXAMPLES = """
pocket-profile --plan out/plan.json --width pocket -o profile.json
pocket-profile --plan out/plan.json --width full --steps 0 -o profile.json
"""


@command("profile", examples=EXAMPLES)
@click.option("--plan", "plan_file", required=True, type=click.Path(path_type=Path), help="plan.json of pocket-plan.")
@click.option("--arch", help="Architecture; pocket-models lists them. Default: unet, or classifier by the plan's task.")
@click.option("--width", default="pocket", show_default=True, help="pocket, full or capped<feature maps>.")
@click.option("--steps", default=5, show_default=True, help="Steps to measure; 0 predicts only.")
@click.option("--threads", type=int, help="CPU threads. Default: all cores.")
@output_option("The profile.json to write.")
@quiet_option
@json_option
def main(plan_file, arch, width, steps, threads, output, quiet, as_json):
    """Predict a training step's memory from the graph, and measure its memory and time in this process."""
    import psutil

    from .. import backend, files
    from ..config import Plan
    from ..errors import DeviceMemoryError

    plan = Plan.read(plan_file)
    arch = arch or plan.default_arch
    backend.configure(threads, plan.seed)
    from ..models.build import build
    from ..profiling.measure import training_step
    from ..profiling.predict import training_memory

    training = plan.training
    model = build(plan.network_of(arch, width), training.patch)
    memory = training_memory(model, training.batch)
    if not backend.on_gpu() and memory.host_mib > psutil.virtual_memory().total / 2**20:
        raise DeviceMemoryError(
            f"A training step of {width} {arch} needs about {memory.host_mib / 1024:.1f} GiB, this machine has "
            f"{psutil.virtual_memory().total / 2**30:.1f} GiB.",
            where=f"patch {training.patch}, batch {training.batch}", todo="Use a smaller --patch or --batch.")
    measured = training_step(model, plan, steps) if steps else None
    entry = {"arch": arch, "width": width, "patch": list(training.patch), "batch": training.batch,
             "parameters": model.count_params(), "mode": "train",
             "predicted": {"host_memory_mib": round(memory.host_mib, 1),
                           "device_memory_mib": round(memory.device_mib, 1)},
             "measured": measured}
    files.write_json(output, {"configurations": [entry]}, "profile")
    line = f"{width} {arch}, {entry['parameters']:,} parameters: predicted {memory.host_mib:,.0f} MiB"
    if measured:
        line += f", measured {measured['host_memory_mib']:,.0f} MiB and {measured['step_seconds']:.3f} s a step"
    say(line, quiet)
    result(entry, as_json)


if __name__ == "__main__":
    main()
