"""pocket-infer: segment images in their own geometry, or classify them, with a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, output_option, progress, quiet_option, result, say

EXAMPLES = """
pocket-infer --model results/demo/models/unet-pocket/fold0 scan.nii.gz -o scan_seg.nii.gz
pocket-infer --model MODEL case1_flair.nii.gz case1_t1ce.nii.gz -o predictions
pocket-infer --model MODEL folder_of_scans -o predictions
pocket-infer --model MODEL --manifest manifest.json --input Task04_Hippocampus -o predictions
pocket-infer --model CLASSIFIER xray1.png xray2.jpg -o predictions.csv
"""


@command("infer", examples=EXAMPLES)
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model folder.")
@click.option("--manifest", type=click.Path(path_type=Path), help="Take a manifest's cases instead of IMAGES.")
@click.option("--input", "input_", type=click.Path(path_type=Path), help="The manifest's data folder.")
@output_option("A .nii.gz file for one case, else a folder for <case>.nii.gz; of a classifier a .csv file, or a folder "
               "for predictions.csv.")
@click.option("--engine", default="auto", show_default=True, help="auto, openvino or tensorflow.")
@click.option("--threads", type=int, help="CPU threads. Default: all cores.")
@quiet_option
@json_option
def main(images, model, manifest, input_, output, engine, threads, quiet, as_json):
    """Segment or classify IMAGES (files or folders), as the model does; one bad case does not stop the others."""
    from ..errors import DataError, UsageError
    from ..inference import engines
    from ..training.model_folder import ModelFolder

    if bool(images) == bool(manifest) or bool(manifest) != bool(input_):
        raise UsageError("Give either IMAGES, or --manifest with --input.")
    opened = ModelFolder.open(model)
    made = engines.make(engine, opened.path, opened.plan.training.patch, opened.plan.network.channels, threads)
    step = _classify if opened.plan.task == "classification" else _segment
    done, problems = step(opened, made, output, quiet,
                          lambda *suffixes: _cases(opened, images, manifest, input_, suffixes))
    result({"engine": made.name, "cases": done, "failed": problems}, as_json)
    if problems:
        raise DataError(f"{len(problems)} of {len(done) + len(problems)} cases could not be {WORDS[step]}.",
                        problems=problems)
    say(f"{len(done)} {WORDS[step]}: {output}", quiet)


def _cases(model, images, manifest, input_, suffixes) -> dict[str, list[Path]]:
    """The files of each case, in the model's order of modalities."""
    from .. import files
    from ..errors import DataError
    from ..inference import cases

    modalities = list(model.plan.modalities)
    if not manifest:
        return cases.group(images, modalities, suffixes)
    listing = files.read_json(manifest, "manifest")
    if listing["modalities"] != modalities:
        raise DataError(f"The model takes {modalities}, the manifest has {listing['modalities']}.", where=str(manifest))
    return {case["case"]: [input_ / name for name in case["images"]] for case in listing["cases"]}


def _segment(model, engine, output, quiet, find) -> tuple[list[dict], list[str]]:
    """Write a label map a case; what was done, and what could not be."""
    import time

    from ..errors import DataError, UsageError
    from ..inference import cases
    from ..inference.predictor import Predictor

    predictor = Predictor(model, engine)
    work = find(*cases.SUFFIXES)
    single = output.name.endswith(cases.SUFFIXES)
    if single and len(work) > 1:
        raise UsageError(f"{len(work)} cases cannot be written to one file.", where=str(output),
                         todo="Give a folder as --output.")
    done, problems = [], []
    for case, paths in progress(list(work.items()), f"infer ({predictor.engine.name})", quiet=quiet):
        target = output if single else output / f"{case}.nii.gz"
        started = time.monotonic()
        try:
            predictor.segment_files(paths, target)
            done.append({"case": case, "output": str(target), "seconds": round(time.monotonic() - started, 3)})
        except DataError as error:
            problems.append(f"{case}: {error.render()}")
    return done, problems


def _classify(model, engine, output, quiet, find) -> tuple[list[dict], list[str]]:
    """Write a table of class probabilities; what was done, and what could not be."""
    from ..errors import DataError
    from ..inference.classifier import TABLE, Classifier, write_table
    from ..preprocessing.picture import SUFFIXES

    classifier = Classifier(model, engine)
    found, problems = {}, []
    for case, paths in progress(list(find(*SUFFIXES).items()), f"infer ({engine.name})", quiet=quiet):
        try:
            found[case] = classifier.classify_files(paths)
        except DataError as error:
            problems.append(f"{case}: {error.render()}")
    if found:
        write_table(output if output.suffix == ".csv" else output / TABLE, found, classifier.classes)
    return [{"case": case, "probabilities": values} for case, values in found.items()], problems


WORDS = {_segment: "segmented", _classify: "classified"}


if __name__ == "__main__":
    main()
