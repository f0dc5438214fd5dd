"""`pocket-calibrate`: calibrate trained networks, so that pocket-infer makes a statement on each case."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, log, output_option, quiet_option, result

EXAMPLES = """
pocket-calibrate --models models/unet-pocket --evaluations evaluation/unet-pocket -o calibrated
pocket-calibrate --models models/unet-pocket --evaluations evaluation/unet-pocket --splits plan/splits.json \\
    --stores stores -o calibrated
pocket-calibrate --models models/unet-pocket --evaluations evaluation/unet-pocket --accept 0.8 --coverage 0.95 \\
    -o calibrated
"""


@command("calibrate", examples=EXAMPLES)
@click.option("--models", required=True, multiple=True, type=click.Path(path_type=Path),
              help="A model folder or a folder of them: one network, one model folder per fold; repeatable.")
@click.option("--evaluations", required=True, multiple=True, type=click.Path(path_type=Path),
              help="An output folder of pocket-evaluate with features.csv, or a folder of them; repeatable.")
@click.option("--coverage", type=click.FloatRange(0.5, 0.99), default=0.9, show_default=True,
              help="Share of cases for which a lower bound or an interval holds.")
@click.option("--accept", type=click.FloatRange(0, 1), metavar="DICE", default=0.75, show_default=True,
              help="A lower bound of a Dice below this is a reason to look at a case.")
@click.option("--reject", type=click.FloatRange(0, 1), metavar="DICE", default=0.5, show_default=True,
              help="An expected Dice below this is a reason to reject a case.")
@click.option("--splits", type=click.Path(path_type=Path),
              help="splits.json of the training. With it and --stores, validation cases also calibrate the "
                   "probabilities: a temperature and a bias for each label.")
@click.option("--stores", multiple=True, type=click.Path(path_type=Path),
              help="A store of pocket-preprocess, or a folder of stores, for --splits; repeatable.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads, for --splits. Default: all cores.")
@output_option("Folder for the calibrated model folders, each named like its model folder.")
@quiet_option
@json_option
def main(models: tuple[Path, ...], evaluations: tuple[Path, ...], coverage: float, accept: float, reject: float,
         splits: Path | None, stores: tuple[Path, ...], threads: int | None, output: Path, quiet: bool, as_json: bool
         ) -> None:
    """Calibrate the networks of a cross-validation from the predictions of their test cases.

    Each case was predicted by a network that had not seen it. The cases of all folds together calibrate the network of
    each fold. Every model folder is written again with a calibration.json; the network stays as it is. How far the
    statements can be trusted is measured fold by fold, with the calibration of the other folds.

    With --splits and --stores, the networks also predict validation cases of their folds. The folders then get a
    temperatures.json, with which pocket-infer --probabilities writes calibrated probabilities.
    """
    from ..contracts.splits import Splits
    from ..errors import UsageError
    from ..inference.calibrate import Settings, in_words, write_calibrated
    from ..inference.find_temperatures import Validation

    if (splits is None) != (not stores):
        raise UsageError("Temperatures need both --splits and --stores.")
    validation = Validation(Splits.read(splits), stores, threads, lambda line: log(line, quiet)) if splits else None
    made = write_calibrated(list(models), list(evaluations), output, Settings(coverage, accept, reject), validation)
    log(f"calibrated model folders: {output}", quiet)
    result({"calibrations": [one.calibration.to_json() for one in made],
            "temperatures": [one.temperatures.to_json() for one in made if one.temperatures]},
           as_json, in_words(made), quiet)


if __name__ == "__main__":
    main()
