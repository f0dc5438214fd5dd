"""`pocket-decide`: decide again how a trained network is used, on its fold's validation cases."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, log, output_option, quiet_option, result

EXAMPLES = """
pocket-decide --model models/unet-pocket/fold0 --splits plan/splits.json --stores stores -o decided
"""


@command("decide", examples=EXAMPLES)
@click.option("--model", required=True, type=click.Path(path_type=Path),
              help="Model folder of a network or an ensemble.")
@click.option("--splits", "splits_file", required=True, type=click.Path(path_type=Path),
              help="splits.json of its training.")
@click.option("--stores", required=True, multiple=True, type=click.Path(path_type=Path),
              help="A store of pocket-preprocess, or a folder of stores; repeatable.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads. Default: all cores.")
@output_option("The model folder to write.")
@quiet_option
@json_option
def main(model: Path, splits_file: Path, stores: tuple[Path, ...], threads: int | None, output: Path, quiet: bool,
         as_json: bool) -> None:
    """Decide how a network is used: windows, mirroring and postprocessing.

    pocket-train decides this at the end of each training. Use this command for a model folder without decisions, for an
    ensemble, or for a network that was trained on a GPU. The network stays as it is.
    """
    from .. import outputs
    from ..contracts.splits import Splits
    from ..inference.decide import write_decided

    outputs.check_folder(output, [model, splits_file, *stores])
    provenance = write_decided(model, Splits.read(splits_file), list(stores), output, threads,
                               lambda line: log(line, quiet))
    log(f"model folder: {output}", quiet)
    result(provenance.to_json(), as_json)


if __name__ == "__main__":
    main()
