"""`pocket-verify`: verify a training by repeating a part of it."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, log, quiet_option, result

EXAMPLES = """
pocket-verify models/unet-pocket/fold0 --splits dataset/splits.json --stores stores --checkpoints checkpoints
pocket-verify models/unet-pocket/fold0 --splits dataset/splits.json --stores stores --first-step 0
pocket-verify tuned --splits dataset/splits.json --stores stores --start-from pruned --width pocket
"""


@command("verify", examples=EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--splits", "splits_file", required=True, type=click.Path(path_type=Path),
              help="splits.json of the training.")
@click.option("--stores", required=True, multiple=True, type=click.Path(path_type=Path),
              help="A store or a folder of stores of the training; repeatable.")
@click.option("--checkpoints", type=click.Path(path_type=Path), default=Path("checkpoints"), show_default=True,
              help="--checkpoints of the training. Without this folder, the first epoch is trained again.")
@click.option("--first-step", type=click.IntRange(min=0),
              help="Train again after this step. Default: a random one of those whose state was kept.")
@click.option("--start-from", type=click.Path(path_type=Path),
              help="Model folder that the training started from, if it started from one.")
@click.option("--width", help="Width of the network, if it has the name of a variant.")
@click.option("--threads", type=int, help="CPU threads. Default: as in the training.")
@click.option("--gpus", type=click.IntRange(min=0), default=0, help="As in the training.")
@click.option("--logical-cpus", type=click.IntRange(min=0), default=0, help="As in the training.")
@quiet_option
@json_option
def main(model: Path, splits_file: Path, stores: tuple[Path, ...], checkpoints: Path, first_step: int | None,
         start_from: Path | None, width: str | None, threads: int | None, gpus: int, logical_cpus: int, quiet: bool,
         as_json: bool) -> None:
    """Verify a training by repeating a part of it.

    Training records its state after each epoch as a chain of checksums. This command verifies the chain, that the
    network is the one that the training ended with, and that plan, fold, data and code are those of the training.
    It then trains one epoch again, and compares weights, optimiser and labels with the record: to the bit on the same
    kind of processor with the same libraries, otherwise within a tolerance. A difference ends with exit code 3.
    """
    from ..contracts.splits import Splits
    from ..training.model_folder import ModelFolder
    from ..training.run import Observer, Resources
    from ..training.verified import Repeat, verify
    from .common import StepProgress

    opened = ModelFolder.open(model)
    with StepProgress("verify", opened.provenance.steps, quiet) as steps:
        found = verify(opened, Splits.read(splits_file), list(stores), checkpoints,
                       Repeat(first_step, width, start_from), Resources(gpus, logical_cpus, threads),
                       Observer(lambda line: log(line, quiet), steps.on_step))
    log(f"verified: steps {found.first_step + 1} to {found.last_step} of {found.steps} give the recorded weights "
        f"{found.agrees}", quiet)
    result(found.to_json(), as_json)


if __name__ == "__main__":
    main()
