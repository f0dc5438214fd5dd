"""`pocket-card`: write the model card of a model folder."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, output_option, quiet_option, result


@command("card", examples="""
pocket-card models/unet-pocket/fold0 --metrics comparison/metrics.csv --splits plan/splits.json -o card.md
pocket-card models --metrics comparison/metrics.csv --splits plan/splits.json --input Task04_Hippocampus -o cards
pocket-card models/unet-pocket/fold0 --licence "CC BY-SA 4.0" --use "Research on T1 MRI of adults." -o card.md
""")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", type=click.Path(path_type=Path))
@click.option("--metrics", multiple=True, type=click.Path(path_type=Path),
              help="A metrics.csv of pocket-evaluate or pocket-compare; repeatable. Rows of the model's run count.")
@click.option("--splits", type=click.Path(path_type=Path), help="Splits of the trainings.")
@click.option("--input", "input_", metavar="FOLDER", type=click.Path(path_type=Path),
              help="The dataset's folder, of which dataset.json may name the licence.")
@click.option("--licence", help="Licence of the data. Default: as dataset.json says, else as the preset.")
@click.option("--use", help="Intended use. Default: research on images like the training images.")
@output_option("A file that ends in .md for one model folder; else a folder for <arch>-<width>-fold<N>.md.")
@quiet_option
@json_option
def main(models: tuple[Path, ...], metrics: tuple[Path, ...], splits: Path | None, input_: Path | None,
         licence: str | None, use: str | None, output: Path, quiet: bool, as_json: bool) -> None:
    """Write the model card of each model folder: use, data, images, accuracy, training, limits.

    MODEL is a model folder or a folder of them.
    """
    from .. import outputs
    from ..contracts.splits import Splits
    from ..datasets.licence import licence_of
    from ..errors import DataError, UsageError
    from ..evaluation import table
    from ..files import write_text
    from ..report.card import Stated, card
    from ..tracking.records import read_run, refuse_altered
    from ..training.shipped import shipped

    outputs.check_unaltered(metrics)
    run = read_run([shipped(str(path)) or path if not path.exists() else path for path in models])
    refuse_altered(run)
    if not run.models:
        raise DataError("There is no model folder that can be read.", problems=run.problems, where=str(models[0]))
    folds = {fold.fold: fold for fold in Splits.read(splits).folds} if splits else {}
    measured = dict(iter(table.read_all(metrics).groupby("run_key"))) if metrics else {}
    single = output.suffix == ".md"
    if single and len(run.models) > 1:
        raise UsageError(f"There are {len(run.models)} model folders, and one file for their cards.", where=str(output),
                         todo="Give a folder as --output, or one model folder.")
    cards = {}
    for model in run.models:
        origin = model.provenance
        path = output if single else output / f"{origin.arch}-{origin.width}-fold{origin.fold}.md"
        found = licence_of(input_, origin.dataset)
        cards[path] = card(model, measured.get(origin.run_key), folds.get(origin.fold),
                           Stated(licence or found.licence, found.where, use or ""))
    outputs.check_files(dict.fromkeys(cards), [*metrics, *([splits] if splits else [])])
    for path, text in cards.items():
        write_text(path, text)
    result({"cards": [str(path) for path in cards], "problems": run.problems}, as_json,
           "\n".join([*map(str, cards), *run.problems]), quiet)


if __name__ == "__main__":
    main()
