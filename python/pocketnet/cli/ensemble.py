"""pocket-ensemble: several trained networks of one fold as a single one, their mean."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, output_option, quiet_option, result, say

EXAMPLES = """
pocket-ensemble --model seed1/fold0 --model seed2/fold0 -o ensemble/fold0
"""


@command("ensemble", examples=EXAMPLES)
@click.option("--model", "models", required=True, multiple=True, type=click.Path(path_type=Path),
              help="A member's model folder; at least two, of one plan and fold, trained with seeds of their own.")
@output_option("The model folder to write.")
@quiet_option
@json_option
def main(models: tuple[Path, ...], output: Path, quiet: bool, as_json: bool) -> None:
    """Make one network of several: the mean of their probabilities.

    The result is a model folder like any other, with the parameters of all members. (pocket-infer takes several --model
    as well, of whichever folds.)
    """
    from ..training.ensembled import write_ensemble

    provenance = write_ensemble(models, output)
    say(f"{len(models)} networks {provenance.width} {provenance.arch}, fold {provenance.fold}, as one: "
        f"{provenance.parameters:,} parameters; model folder: {output}", quiet)
    result(provenance.to_json(), as_json)


if __name__ == "__main__":
    main()
