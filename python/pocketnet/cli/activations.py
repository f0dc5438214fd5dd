"""`pocket-activations`: measure the mean response of each feature map of a network's last layer to its test cases."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, log, output_option, progress, quiet_option, result

EXAMPLES = """
pocket-activations --model models/unet-pocket/fold0 --splits plan/splits.json --stores stores -o pocket.json
"""


@command("activations", examples=EXAMPLES)
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model folder.")
@click.option("--splits", required=True, type=click.Path(path_type=Path), help="splits.json used to train the model.")
@click.option("--stores", required=True, multiple=True, type=click.Path(path_type=Path),
              help="A store or a folder of stores; repeatable.")
@click.option("--threads", type=int, help="CPU threads. Default: all cores.")
@output_option("The JSON file to write.")
@quiet_option
@json_option
def main(model: Path, splits: Path, stores: tuple[Path, ...], threads: int | None, output: Path, quiet: bool,
         as_json: bool) -> None:
    """Average each feature map of the last layer before the head, over all patches of the fold's test cases."""
    from .. import backend, outputs
    from ..contracts.activations import Activations
    from ..contracts.splits import Splits
    from ..contracts.tasks import TASKS
    from ..errors import DataError, UsageError
    from ..preprocessing.store import open_stores
    from ..text import counted
    from ..training.model_folder import ModelFolder

    outputs.check_files({output: "activations"}, [splits])
    folder = ModelFolder.open(model)
    run, plan = folder.provenance, folder.plan
    if not TASKS[plan.task].per_voxel:
        raise UsageError("A classifier does not end in a feature map per voxel.", where=str(model))
    cases = Splits.read(splits).fold(run.fold).test
    available = open_stores(list(stores))
    missing = [case for case in cases if case not in available]
    if missing:
        raise DataError(f"{len(missing)} of the fold's test cases have no store.", problems=missing,
                        todo="Preprocess them with pocket-preprocess.")
    backend.configure(threads, plan.seed)
    from ..inference import activations
    from ..models.build import load

    network = activations.last_layer(load(folder.path / "model.keras"))
    images = (patch for case in progress(cases, "activations", quiet=quiet)
              for patch in activations.patches(available[case], plan, run.intensity))
    means, count = activations.channel_means(network, images)
    found = Activations(run.dataset, run.arch, run.width, run.fold, run.recipe, run.parameters, run.code, run.run_key,
                        len(cases), count, tuple(means.tolist()))
    found.write(output)
    log(f"{counted(len(means), 'feature map')} over {count} patches of {counted(len(cases), 'case')}: {output}", quiet)
    result(found.to_json(), as_json)


if __name__ == "__main__":
    main()
