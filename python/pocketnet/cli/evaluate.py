"""`pocket-evaluate`: predictions against references, a row a case and label, or a case of a classification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import command, input_option, json_option, output_option, progress, quiet_option, result

if TYPE_CHECKING:
    from ..contracts.labels import Label


@command("evaluate", examples="""
pocket-evaluate --manifest manifest.json --input Task04_Hippocampus --predictions predictions \\
    --model models/unet-pocket/fold0 -o evaluation/unet-pocket/fold0
""")
@click.option("--manifest", required=True, type=click.Path(path_type=Path),
              help="The cases to evaluate; every one with a label must have a prediction.")
@input_option
@click.option("--predictions", required=True, type=click.Path(path_type=Path),
              help="Folder of <case>.nii.gz; of a classification, predictions.csv or its folder.")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model folder that made them.")
@output_option("Folder for metrics.csv, overlays/ and overlays.json; of a classification, also classification.json.")
@quiet_option
@json_option
def main(manifest: Path, input_: Path, predictions: Path, model: Path, output: Path, quiet: bool,
         as_json: bool) -> None:
    """Measure Dice, HD95 and average surface distance, and draw the best, median and worst case.

    Of a classification: AUC, accuracy, sensitivity and specificity with intervals, the ROC curve, and pictures of
    the cases that are confidently wrong.
    """
    import pandas as pd

    from .. import outputs
    from ..contracts.labels import ModelLabels
    from ..contracts.manifest import Manifest
    from ..contracts.overlays import Overlay, Overlays
    from ..contracts.provenance import Provenance
    from ..errors import DataError
    from ..evaluation import cases, overlay, table
    from ..preprocessing import geometry

    listing = Manifest.read(manifest)
    run = Provenance.read(model / "provenance.json")
    labels = listing.labels
    outputs.check_files({
        output / "metrics.csv": None, output / "overlays.json": "overlays",
        output / "classification.json": "classification", output / "roc.png": None,
        **{output / "overlays" / f"{rank}_{case.case}.png": None
           for case in listing.cases for rank in (*overlay.RANKS, "wrong")}})
    _same_classes(labels, ModelLabels.read(model / "labels.json").labels, manifest, model)
    if listing.task == "classification":
        from ..evaluation import evaluate_classes

        described = evaluate_classes.evaluate(listing, manifest, input_, predictions, run, output)
        result(described.to_json(), as_json, evaluate_classes.text(described), quiet)
        return
    labelled = [case for case in listing.cases if case.label]
    references = {case.case: input_ / case.label for case in listing.cases if case.label}
    if not labelled:
        raise DataError("No case of this manifest has a reference to compare with.", where=str(manifest))
    paths = {case.case: cases.prediction_path(predictions, case.case) for case in labelled}
    missing = [f"{case}: {path}" for case, path in paths.items() if not path.is_file()]
    if missing:
        raise DataError(f"{len(missing)} of {len(paths)} predictions are missing.", problems=missing,
                        todo="Predict them with pocket-infer, or give a manifest of the predicted cases only.")
    rows, problems = [], []
    for case in progress(labelled, "evaluate", quiet=quiet):
        try:
            pair = cases.read_pair(references[case.case], paths[case.case], labels, listing.label_grid)
        except DataError as error:
            problems.append(f"{case.case}: {' '.join(error.render().split())}")
            continue
        rows += [{"case": case.case, **table.of_run(run), **row}
                 for row in cases.measure_case(*pair, labels)]
    if problems:
        raise DataError(f"{len(problems)} of {len(paths)} cases cannot be evaluated.", problems=problems)
    frame = pd.DataFrame(rows)
    mean_dice = frame.groupby("case")["dice"].mean().to_dict()
    entries = []
    by_name = {case.case: case for case in labelled}
    outputs.remove_earlier(output / "overlays", "*.png")
    for rank, name in overlay.pick(mean_dice):
        image = geometry.read(input_ / by_name[name].images[0]).data
        pair = cases.read_pair(references[name], paths[name], labels, listing.label_grid)
        entries.append(Overlay(name, f"overlays/{rank}_{name}.png", rank, dice=mean_dice[name]))
        overlay.draw(output / entries[-1].file, image, *pair,
                     f"{name} · {run.arch} {run.width}, fold {run.fold} · {rank}: Dice {mean_dice[name]:.3f}")
    Overlays(tuple(entries)).write(output / "overlays.json")
    table.write(output / "metrics.csv", frame)
    means = frame.groupby("label", sort=False)[["dice", "hd95_mm", "asd_mm", "nsd_1mm"]].mean()
    text = "\n".join(f"{label}: Dice {row.dice:.4f}, HD95 {row.hd95_mm:.2f} mm, ASD {row.asd_mm:.2f} mm, "
                     f"NSD at 1 mm {row.nsd_1mm:.4f}"
                     for label, row in means.iterrows())
    summary = {label: {key: None if pd.isna(value) else float(value) for key, value in row.items()}
               for label, row in means.iterrows()}
    result({"cases": len(labelled), "mean": summary}, as_json, f"{len(labelled)} cases\n{text}", quiet)


def _same_classes(labels: Sequence[Label], learned: Sequence[Label], manifest: Path, model: Path) -> None:
    """Refuse a manifest whose classes are not the model's.

    Raises:
        UsageError: Names both.
    """
    from ..errors import UsageError

    ours, theirs = ({label.name: label.value for label in side} for side in (labels, learned))
    if ours != theirs:
        raise UsageError(f"The manifest's classes {ours} are not the model's {theirs}.",
                         where=f"{manifest} and {model}", todo="Give the manifest that the model was trained with.")


if __name__ == "__main__":
    main()
