"""pocket-infer: segment images with a trained model, in their own geometry."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, output_option, progress, quiet_option, result, say

EXAMPLES = """
pocket-infer --model results/demo/models/unet-pocket/fold0 scan.nii.gz -o scan_seg.nii.gz
pocket-infer --model MODEL case1_flair.nii.gz case1_t1ce.nii.gz -o predictions
pocket-infer --model MODEL folder_of_scans -o predictions
pocket-infer --model MODEL --manifest manifest.json --input Task04_Hippocampus -o predictions
"""


@command("infer", examples=EXAMPLES)
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model folder.")
@click.option("--manifest", type=click.Path(path_type=Path), help="Segment a manifest's cases instead of IMAGES.")
@click.option("--input", "input_", type=click.Path(path_type=Path), help="The manifest's data folder.")
@output_option("A .nii.gz file for one case, else a folder for <case>.nii.gz.")
@click.option("--engine", default="auto", show_default=True, help="auto, openvino or tensorflow.")
@click.option("--threads", type=int, help="CPU threads. Default: all cores.")
@quiet_option
@json_option
def main(images, model, manifest, input_, output, engine, threads, quiet, as_json):
    """Segment IMAGES (files or folders); one bad case does not stop the others."""
    import time

    from .. import files
    from ..errors import DataError, UsageError
    from ..inference import cases
    from ..inference.predictor import Predictor

    if bool(images) == bool(manifest) or bool(manifest) != bool(input_):
        raise UsageError("Give either IMAGES, or --manifest with --input.")
    predictor = Predictor.load(model, engine=engine, threads=threads)
    if manifest:
        listing = files.read_json(manifest, "manifest")
        if listing["modalities"] != list(predictor.model.plan.modalities):
            raise DataError(f"The model takes {list(predictor.model.plan.modalities)}, the manifest has "
                            f"{listing['modalities']}.", where=str(manifest))
        work = {case["case"]: [input_ / name for name in case["images"]] for case in listing["cases"]}
    else:
        work = cases.group(images, predictor.model.plan.modalities)
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
    result({"engine": predictor.engine.name, "cases": done, "failed": problems}, as_json)
    if problems:
        raise DataError(f"{len(problems)} of {len(work)} cases could not be segmented.", problems=problems)
    say(f"{len(done)} segmented: {output}", quiet)


if __name__ == "__main__":
    main()
