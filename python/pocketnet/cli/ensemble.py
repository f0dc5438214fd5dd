"""`pocket-ensemble`: combine several trained networks of one fold into one network that averages them."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, log, output_option, quiet_option, result

EXAMPLES = """
pocket-ensemble --model seed1/fold0 --model seed2/fold0 -o ensemble/fold0
"""


@command("ensemble", examples=EXAMPLES)
@click.option("--model", "models", required=True, multiple=True, type=click.Path(path_type=Path),
              help="Model folder of a member. Give at least two, of one plan and fold, trained with different seeds.")
@output_option("The model folder to write.")
@quiet_option
@json_option
def main(models: tuple[Path, ...], output: Path, quiet: bool, as_json: bool) -> None:
    """Combine several networks into one that averages their probabilities.

    The result is an ordinary model folder that contains the parameters of all members. To average models of different
    folds, give pocket-infer several --model instead.
    """
    from ..training.ensembled import write_ensemble

    provenance = write_ensemble(models, output)
    log(f"{len(models)} networks {provenance.width} {provenance.arch}, fold {provenance.fold}, as one: "
        f"{provenance.parameters:,} parameters; model folder: {output}", quiet)
    result(provenance.to_json(), as_json)


if __name__ == "__main__":
    main()
