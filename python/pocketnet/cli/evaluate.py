"""`pocket-evaluate`: compare predictions with references; write one row per case (and label, if segmented)."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, input_option, json_option, log, output_option, progress, quiet_option, result


@command("evaluate", examples="""
pocket-evaluate --manifest manifest.json --input Task04_Hippocampus --predictions predictions \\
    --model models/unet-pocket/fold0 -o evaluation/unet-pocket/fold0
pocket-evaluate --manifest manifest.json --input Task04_Hippocampus --predictions predictions \\
    --model models/unet-pocket/fold0 --measured part0 --measured part1 -o evaluation/unet-pocket/fold0
""")
@click.option("--manifest", required=True, type=click.Path(path_type=Path),
              help="Manifest of the cases to evaluate. Every labelled case must have a prediction.")
@input_option
@click.option("--predictions", required=True, multiple=True, type=click.Path(path_type=Path),
              help="Folder of <case>.nii.gz, repeatable; for a classification, predictions.csv or its folder.")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="Folder of the model that made them.")
@click.option("--part", is_flag=True,
              help="Only write metrics.csv (and calibration.csv) of these cases, for --measured of another evaluation. "
                   "Segmentation only.")
@click.option("--measured", multiple=True, type=click.Path(path_type=Path),
              help="Folder that --part has written for some of the cases, which are not measured again; repeatable.")
@output_option("Folder for metrics.csv, overlays.json, overlays/ and thumbnails/; for classification, also "
               "classification.json.")
@quiet_option
@json_option
def main(manifest: Path, input_: Path, predictions: tuple[Path, ...], model: Path, part: bool,
         measured: tuple[Path, ...], output: Path, quiet: bool, as_json: bool) -> None:
    """Measure Dice, HD95, surface distance and lesion-wise metrics; draw the best, median and worst case.

    If the predictions' folder has the probability maps of `pocket-infer --probabilities`, calibration.csv tells how far
    probabilities can be trusted.

    For a classification: measure AUC, accuracy, sensitivity and specificity with confidence intervals; draw the ROC
    curve and the misclassified cases with the highest confidence.
    """
    from .. import outputs
    from ..contracts import costs
    from ..contracts.manifest import Manifest
    from ..evaluation import thumbnail
    from ..evaluation.cases import Sources, check_classes
    from ..evaluation.evaluate import TASKS
    from ..training.model_folder import ModelFolder

    listing = Manifest.read(manifest)
    opened = ModelFolder.open(model)
    run = opened.provenance
    outputs.check_files({
        output / "metrics.csv": None, output / "overlays.json": "overlays", output / costs.TABLE: None,
        **{output / name: kind for task in TASKS.values() for name, kind in task.FILES.items()},
        **{output / "overlays" / f"{rank}_{case.case}.png": None
           for case in listing.cases for task in TASKS.values() for rank in task.RANKS},
        **{output / thumbnail.file_of(case.case): None for case in listing.cases}},
        [folder / "metrics.csv" for folder in measured])
    check_classes(listing.labels, opened.labels, f"{manifest} and {model}")
    done = TASKS[listing.task].evaluate(listing, manifest, input_, Sources(predictions, measured, part), run, output,
                                        lambda cases: progress(cases, "evaluate", quiet=quiet))
    names = {case.case for case in listing.cases}
    known = {name: cost for folder in predictions for name, cost in costs.read(folder / costs.TABLE).items()
             if name in names} if all(folder.is_dir() for folder in predictions) else {}
    outputs.remove_earlier(output, costs.TABLE)
    if known and not part:
        costs.write(output / costs.TABLE, known.values())
    for warning in done.warnings:
        log(f"Warning: {warning}", quiet)
    result(done.summary | {"warnings": list(done.warnings)}, as_json, done.text, quiet)


if __name__ == "__main__":
    main()
