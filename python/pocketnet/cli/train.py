"""`pocket-train`: train one network on one fold."""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path

import click

from .common import command, json_option, log, output_option, quiet_option, result

EXAMPLES = """
pocket-train --plan out/plan.json --splits out/splits.json --stores out/stores --width pocket --fold 0 -o model
pocket-train --plan out/plan.json --splits out/splits.json --stores out/stores --width full --fold 0 -o model-full
pocket-train --plan out/plan.json --splits out/splits.json --stores out/stores --width pocket --fold 0 \\
    --start-from pruned --variant pruned-tuned -o tuned
pocket-train --plan out/plan.json --splits out/splits.json --stores out/stores --width pocket --fold 0 \\
    --start-from models/unet-pocket/fold0 --freeze --learning-rate 0.0002 -o fine-tuned
pocket-train --plan model/plan.json --splits out/splits.json --stores out/stores --width pocket --fold 0 \\
    --start-from model --epochs 8 -o continued
pocket-train --plan out/plan.json --splits out/splits.json --stores out/stores --gpus 2 -o model
srun --nodes=2 --ntasks-per-node=1 pocket-train --plan out/plan.json --splits out/splits.json --stores out/stores \\
    --nodes 2 --gpus 4 -o model
"""


@command("train", examples=EXAMPLES)
@click.option("--plan", "plan_file", required=True, type=click.Path(path_type=Path), help="plan.json of pocket-plan.")
@click.option("--splits", "splits_file", required=True, type=click.Path(path_type=Path),
              help="splits.json of pocket-plan.")
@click.option("--stores", required=True, multiple=True, type=click.Path(path_type=Path),
              help="A store or a folder of stores; repeatable.")
@click.option("--arch", help="Architecture; pocket-models lists them. Default by the plan's task: unet or classifier.")
@click.option("--width", default="pocket", show_default=True,
              help="pocket, full or capped<feature maps>. With a plan of two configurations, the network is called "
                   "pocket-2d or pocket-3d, for example.")
@click.option("--fold", default=0, show_default=True, help="Fold to train on.")
@click.option("--start-from", type=click.Path(path_type=Path),
              help="Model folder whose weights are used for all layers that fit, also of other data, channels and "
                   "labels. Default: random weights.")
@click.option("--variant", help="With --start-from: name of the network in tables, instead of its width.")
@click.option("--freeze", is_flag=True, help="With --start-from: train only the layers that did not fit.")
@click.option("--epochs", type=int, help="Number of epochs, with --start-from further ones. Default: the plan's.")
@click.option("--learning-rate", type=float, help="Initial learning rate. Default: the plan's.")
@output_option("The model folder to write.")
@click.option("--checkpoints", type=click.Path(path_type=Path), default=Path("checkpoints"), show_default=True,
              help="Folder for checkpoints, with one folder per run, named by the run key.")
@click.option("--checkpoint-seconds", default=60.0, show_default=True, help="Longest time between checkpoints, in s.")
@click.option("--time-limit", type=float,
              help="Write a checkpoint and stop before this many seconds after the command's start (exit code 75).")
@click.option("--gpus", type=click.IntRange(min=0), default=0,
              help="Split each batch across this many GPUs of this machine, or of each node. Default: 1, if there is "
                   "one.")
@click.option("--nodes", type=click.IntRange(min=1), default=1,
              help="Split each batch across this many nodes, too. Start one pocket-train per node, with srun or with "
                   "TF_CONFIG set; all share the folder of --checkpoints. If one is lost, the others end with exit "
                   "code 104. Default: 1.")
@click.option("--logical-cpus", type=click.IntRange(min=0), default=0,
              help="Instead of GPUs, split the CPU into this many devices, to test --gpus; not faster.")
@click.option("--threads", type=int, help="CPU threads. Default: all cores.")
@click.option("--watts-per-core", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True,
              envvar="POCKET_WATTS_PER_CORE", show_envvar=True,
              help="Watts per CPU core, to estimate the energy if this machine does not let it be read.")
@click.option("--mlflow-uri", envvar="POCKET_LIVE_MLFLOW_URI", show_envvar=True,
              help="http(s)://<server>: log each epoch to it. Other addresses are ignored here; use pocket-collect.")
@quiet_option
@json_option
def main(plan_file: Path, splits_file: Path, stores: tuple[Path, ...], arch: str | None, width: str, fold: int,
         start_from: Path | None, variant: str | None, freeze: bool, epochs: int | None, learning_rate: float | None,
         output: Path, checkpoints: Path, checkpoint_seconds: float, time_limit: float | None, gpus: int,
         logical_cpus: int, nodes: int, threads: int | None, watts_per_core: float, mlflow_uri: str | None,
         quiet: bool, as_json: bool) -> None:
    """Train one network on one fold. If training stops, repeat the command to resume it."""
    import psutil

    from .. import outputs
    from ..contracts.plan import Plan
    from ..contracts.splits import Splits
    from ..errors import UsageError
    from ..inference.decide import decide
    from ..training.run import Choice, Observer, Resources, train
    from ..training.start import Start, adjusted
    from ..training.workers import chief
    from .common import StepProgress

    writes = nodes == 1 or chief(os.environ)
    outputs.check_folder(output, [plan_file, splits_file, *stores, *([start_from] if start_from else [])],
                         shared=not writes)
    if time_limit is not None:  # the scheduler's clock includes the time to load the libraries
        time_limit -= time.time() - psutil.Process().create_time()
    if (variant or freeze) and not start_from:
        raise UsageError(f"{'--variant' if variant else '--freeze'} is only for networks that start from another.",
                         todo="Give --start-from, too, or leave it out.")
    follow = None
    if (mlflow_uri or "").startswith(("http://", "https://")):
        # Imported by name, so that tracking is not part of the training's code checksum (code.py).
        live = import_module("pocketnet.tracking.live")
        follow = live.Live(mlflow_uri, lambda line: click.secho(line, fg="yellow", err=True))
    start = Start.open(start_from, variant, freeze) if start_from else None
    plan = adjusted(Plan.read(plan_file), epochs, learning_rate)
    arch, width = arch or plan.default_arch, plan.named(width)
    splits = Splits.read(splits_file)
    with StepProgress(f"train {width} {arch}", plan.training.steps, quiet or not writes) as steps:
        provenance = train(plan, splits, list(stores), Choice(arch, width, fold, start, decide), output, checkpoints,
                           Resources(gpus, logical_cpus, threads, time_limit, checkpoint_seconds, nodes,
                                     watts_per_core),
                           Observer(lambda line: log(line, quiet), steps.on_step, follow))
    if provenance is None:  # another node's process has written the model folder
        return
    log(f"model folder: {output}", quiet)
    result(provenance.to_json(), as_json)


if __name__ == "__main__":
    main()
