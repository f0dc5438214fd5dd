"""`pocket-infer`: segment images in their original geometry, or classify them, with a trained model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import CasesProgress, command, json_option, log, output_option, progress, quiet_option, result, split_list

if TYPE_CHECKING:
    from ..energy import Meter
    from ..inference.cases import Found
    from ..training.model_folder import ModelFolder

    Find = Callable[[tuple[str, ...]], Found]
    """Map a model's file suffixes to the cases, the problems, and what was left out."""
    Step = Callable[[list[ModelFolder], Path, bool, Find, dict[str, Any]],
                    tuple[list[dict[str, Any]], set[int], dict[str, Any]]]

EXAMPLES = """
pocket-infer --model hippocampus scan.nii.gz -o scan_seg.nii.gz
pocket-infer --model results/demo/models/unet-pocket/fold0 scan.nii.gz -o scan_seg.nii.gz
pocket-infer --model MODEL folder_of_scans -o predictions
pocket-infer --model MODEL flair=a.nii.gz t1ce=b.nii.gz -o predictions
pocket-infer --model MODEL folder --pattern '{case}/{modality}.nii.gz' -o predictions
find /data -name '*.nii.gz' | pocket-infer --model MODEL - -o predictions
pocket-infer --model MODEL bids_dataset --bids -o bids_dataset/derivatives/pocketnet
pocket-infer --model MODEL dicom_folder -o scan_seg.nii.gz --dicom-seg
pocket-infer --model CALIBRATED folder_of_scans -o predictions --accept 0.8
pocket-infer --model FOLD0 --model FOLD1 --model FOLD2 folder -o predictions --probabilities
pocket-infer --model CLASSIFIER xray1.png xray2.jpg -o predictions.csv
"""


@command("infer", examples=EXAMPLES)
@click.argument("images", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--model", "models", required=True, multiple=True, type=click.Path(path_type=Path),
              help="A model folder or a file in it, or the name of one in models/ or $POCKET_MODELS, such as "
                   "hippocampus. Several models form an ensemble.")
@click.option("--modality", "named", multiple=True, metavar="NAME=FILE",
              help="An image of a single case, with its modality; repeatable.")
@click.option("--pattern", metavar="PATTERN", help="Pattern of the file names, with {case} and {modality}.")
@click.option("--manifest", type=click.Path(path_type=Path), help="Use the cases of a manifest instead of IMAGES.")
@click.option("--input", "input_", type=click.Path(path_type=Path), help="The manifest's data folder.")
@output_option("A file for one case, in the format of its suffix (.nii.gz, .nrrd, .mha, .mgz …), or a folder for "
               "<case>.nii.gz files. For a classifier: a .csv file, or a folder for predictions.csv.")
@click.option("--extras/--no-extras", default=None,
              help="Also write pictures, volumes.csv (mL) and label colours (ITK-SNAP, 3D Slicer). Default: on for "
                   "IMAGES written to a folder.")
@click.option("--costs", is_flag=True, help="Also write costs.csv: time and energy of each case. Only with a folder as "
                                            "--output.")
@click.option("--watts-per-core", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True,
              envvar="POCKET_WATTS_PER_CORE", show_envvar=True,
              help="Watts per CPU core, to estimate the energy if this machine does not let it be read.")
@click.option("--features/--no-features", default=None,
              help="Also write features.csv, from which pocket-calibrate learns what predictions say of their quality. "
                   "Default: on with --manifest.")
@click.option("--accept", type=click.FloatRange(0, 1), metavar="DICE",
              help="With a calibrated model: look at cases whose lower bound of a Dice is below this. Default: the "
                   "calibration's.")
@click.option("--reject", type=click.FloatRange(0, 1), metavar="DICE",
              help="With a calibrated model: reject cases whose expected Dice is below this. Default: the "
                   "calibration's.")
@click.option("--probabilities", is_flag=True, help="Also write one probability map per label.")
@click.option("--uncertainty/--no-uncertainty", default=None,
              help="Also write maps of the disagreement between models or mirrored images. Default: on for several "
                   "models.")
@click.option("--bids", is_flag=True,
              help="Write a BIDS derivative: dataset_description.json, and <entities>_dseg.nii.gz with _dseg.tsv for "
                   "IMAGES with BIDS names, or for a BIDS dataset.")
@click.option("--dicom-seg", is_flag=True, help="Also write DICOM segmentations for IMAGES that are DICOM series.")
@click.option("--dicom-origin", is_flag=True,
              help="Copy institution, station, device serial number and comments on the patient from the series into "
                   "its DICOM segmentation. Default: left out.")
@click.option("--windows", default="auto", show_default=True,
              help="plan (training patches that overlap by half), sparse (training patches that overlap by a "
                   "quarter), large (few large windows), padded (the same, the image padded with zeros) or auto "
                   "(what the validation cases decided on; without a decision, large if the network supports it).")
@click.option("--tta/--no-tta", default=None,
              help="Average over mirrored images (takes 2 to 8 times as long). Default: the plan's setting, or "
                   "what the validation cases decided on.")
@click.option("--engine", default="auto", show_default=True, help="auto, openvino or tensorflow.")
@click.option("--precision", default="float32", show_default=True, help="float32, or bfloat16 (OpenVINO).")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads. Default: all cores.")
@click.option("--max-memory", metavar="SIZE", help="Memory limit of the whole process, for example 2G.")
@click.option("--suffix", help="Suffix of label maps in a folder, such as .png for single slices. Default: .nii.gz.")
@click.option("--missing", metavar="A,B",
              help="Modalities that are missing. Only for models trained with training.drop_modality.")
@click.option("--again", is_flag=True, help="Repeat finished cases.")
@quiet_option
@json_option
def main(images: tuple[Path, ...], models: tuple[Path, ...], named: tuple[str, ...], pattern: str | None,
         manifest: Path | None, input_: Path | None, output: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Segment or classify IMAGES, depending on the model.

    IMAGES are files of volumes (NIfTI, NRRD, MetaImage, MGH), folders of them, DICOM series (each a folder or a zip
    file), pictures for a classifier, or - to read a list of paths from standard input. A bad case does not stop the
    others. If the command is repeated, it skips finished cases.

    A model folder with a calibration (pocket-calibrate) makes a statement on each case: expected Dice, lower bound and
    volume interval of each label, and a flag: accept, look or reject, with the reasons. If the folder also has
    temperatures, the probability maps of --probabilities are calibrated.
    """
    from ..contracts import costs
    from ..errors import DataError, UsageError
    from ..preprocessing import formats
    from ..training.model_folder import ModelFolder

    files = [*_listed(images), *map(Path, named)]
    if bool(files) == bool(manifest) or bool(manifest) != bool(input_):
        raise UsageError("Give either IMAGES, or --manifest with --input.")
    opened = [ModelFolder.open(model) for model in models]
    missing = options["missing"] = split_list(options["missing"])

    def find(suffixes: tuple[str, ...]) -> Found:
        """Group the images by case; single slices are images of a folder only for a network of slices."""
        from ..inference import bids, cases

        if manifest and input_:
            return cases.Found(*_of_manifest(opened[0], manifest, input_, missing))

        plan = opened[0].plan
        chosen, others = bids.images(files, plan.modalities) if options["bids"] else (files, [])
        found = cases.group(chosen, plan.modalities, suffixes, pattern, output, missing,
                            slices=plan.network.through is not None)
        if options["bids"]:
            found = bids.as_derivative(found)
            found.left_out += others
        if not found.cases and len(plan.modalities) == 1:
            raise DataError("No image can be used.", problems=found.problems)
        if not found.cases:
            raise UsageError("The files do not form complete cases: " + "; ".join(found.problems) + ".",
                             todo=cases.naming(plan.modalities) if len(plan.modalities) > 1 else None)
        return found

    _check_suffix(options["suffix"], output, options["bids"])
    if options["bids"] and (manifest or formats.is_written(output.name)):
        raise UsageError("--bids takes IMAGES, and a folder as --output.")
    step, word = _steps()[opened[0].plan.task]
    if options["extras"] is None:
        options["extras"] = not manifest and not options["bids"] and not formats.is_written(output.name)
    table = _costs_table(output) if options["costs"] else None
    options["manifest"] = manifest is not None
    done, codes, summary = step(opened, output, quiet, find, options)
    if table:
        costs.write(table, [costs.Cost.from_json({name: case[name] for name in ("case", "seconds", "energy")})
                            for case in done if "energy" in case])
    result(summary, as_json)
    for case in done:
        for warning in case.get("warnings", ()):
            log(f"Warning: {case['case']}: {warning}", quiet)
        if said := _said(case):
            log(said, quiet)
    for line in summary["left_out"]:
        log(line[0].upper() + line[1:], quiet)
    _end(word, done, summary["failed"], codes, output, quiet)


def _costs_table(output: Path) -> Path:
    """Return the path of the table of costs, which may be written."""
    from .. import outputs
    from ..contracts import costs
    from ..errors import UsageError
    from ..preprocessing import formats

    if formats.is_written(output.name) or output.suffix == ".csv":
        raise UsageError("--costs needs a folder as --output.", where=str(output))
    outputs.check_files({output / costs.TABLE: None})
    return output / costs.TABLE


def _meter(engine: str, watts_per_core: float) -> Meter:
    """Return a meter of the energy; with TensorFlow, a GPU is used if there is one."""
    from .. import backend
    from ..energy import Meter

    return Meter(int(engine == "tensorflow" and backend.on_gpu()), watts_per_core)


def _said(segmented: dict[str, Any]) -> str:
    """Return the statement on a case in words; empty without one."""
    from ..evaluation.statement.apply import Statement

    said = segmented.get("statement")
    return f"{segmented['case']}: " + "\n  ".join(Statement.of_json(said).lines()) if said else ""


def _check_suffix(suffix: str | None, output: Path, bids: bool) -> None:
    """Refuse a suffix in which label maps cannot be written."""
    from ..errors import UsageError
    from ..preprocessing import formats

    known = ", ".join(formats.WRITTEN)
    if formats.is_picture(output.name) and not formats.is_written(output.name):
        raise UsageError("JPEG changes the values of a label map.", where=str(output), todo="Write .png or .nii.gz.")
    if suffix is not None and suffix not in formats.WRITTEN:
        raise UsageError("This is no suffix of an image that can be written.", where=f"--suffix {suffix}",
                         todo=f"Use one of these: {known}.")
    if suffix is not None and (bids or formats.is_written(output.name)):
        raise UsageError("--suffix is for a folder as --output, without --bids.", where=f"--suffix {suffix}")


def _end(word: str, done: list[dict[str, Any]], problems: list[str], codes: set[int], output: Path,
         quiet: bool) -> None:
    """Print the number of finished cases, or raise an error that lists the failed ones; `word` is a past participle."""
    from ..errors import DataError

    if problems:
        error = DataError(f"{len(problems)} of {len(done) + len(problems)} cases could not be {word}.",
                          problems=problems)
        if len(codes) == 1:  # all failed for the same kind of reason
            error.exit_code = codes.pop()
        raise error
    skipped = sum(case.get("skipped", False) for case in done)
    more = f" ({skipped} were finished already)" if skipped else ""
    log(f"{len(done)} {word}{more}: {output}", quiet)


def _listed(images: tuple[Path, ...]) -> list[Path]:
    """Return the images, with `-` replaced by the paths on standard input (one per line)."""
    out = []
    for path in images:
        out += [Path(line.rstrip("\r\n")) for line in sys.stdin if line.strip()] if str(path) == "-" else [path]
    return out


def _of_manifest(model: ModelFolder, manifest: Path, input_: Path, missing: Sequence[str]
                 ) -> tuple[dict[str, list[Path]], list[str]]:
    """Return the files of each case, in the model's order of modalities, and problems of changed cases.

    Missing modalities may be in the manifest or not; their files are not used.
    """
    from ..contracts.manifest import Manifest
    from ..errors import AlteredError, DataError
    from ..preprocessing.recorded import check_recorded

    modalities = model.plan.modalities
    needed = tuple(name for name in modalities if name not in missing)
    listing = Manifest.read(manifest)
    if listing.modalities not in (modalities, needed):
        raise DataError(f"The model takes {list(needed)}, the manifest has {list(listing.modalities)}.",
                        where=str(manifest))
    found, problems = {}, []
    for case in listing.cases:
        try:
            images = [image for image, name in zip(case.images, listing.modalities, strict=True) if name in needed]
            check_recorded(case, input_, images)
            found[case.case] = [input_ / name for name in images]
        except AlteredError as error:
            problems.append(f"{case.case}: {error.line()}")
    return found, problems


def _segment(models: list[ModelFolder], output: Path, quiet: bool, find: Find,
             options: dict[str, Any]) -> tuple[list[dict[str, Any]], set[int], dict[str, Any]]:
    """Segment each case and write the requested outputs.

    Returns:
        A record per finished case, the exit codes of failed cases, and the summary for `--json`.
    """
    from .. import outputs
    from ..errors import UsageError
    from ..inference import batch, bids, cases, memory, statements
    from ..inference.options import Options
    from ..inference.predictor import Predictor
    from ..inference.results import Wanted
    from ..preprocessing import formats

    limit = options["max_memory"]
    predictor = Predictor(models, Options(
        options["engine"], options["threads"], options["windows"], options["tta"], options["precision"],
        None if limit is None else memory.parse_size(limit), tuple(options["missing"]), options["accept"],
        options["reject"]))
    if (why := statements.why_none(predictor)) and (options["accept"], options["reject"]) != (None, None):
        raise UsageError(f"--accept and --reject need a calibrated model: {why}.")
    several = predictor.predictions > 1
    if options["uncertainty"] and not several:
        raise UsageError("The uncertainty needs more than one prediction.",
                         todo="Give --model more than once, or --tta.")
    found = find(cases.SUFFIXES)
    work, problems = found.cases, found.problems
    single = formats.is_written(output.name)
    if single and len(work) > 1:
        raise UsageError(f"{len(work)} cases cannot be written to one file.", where=str(output),
                         todo="Give a folder as --output.")
    uncertainty = len(models) > 1 and not single if options["uncertainty"] is None else options["uncertainty"]
    wanted = Wanted(options["extras"], options["probabilities"], uncertainty, options["dicom_seg"],
                    options["dicom_origin"], options["suffix"] or "",
                    options["features"] if options["features"] is not None else options["manifest"] and not single)
    if wanted.features and single:
        raise UsageError("--features needs a folder as --output.", where=str(output))
    batch.check_output(output, work, single, wanted, models[0].plan.labels)
    if options["bids"]:
        outputs.check_files(dict.fromkeys(bids.outputs_of(output, list(work), models[0].plan.labels)), shared=True)
    with CasesProgress(f"infer ({predictor.engine_name})", len(work), quiet) as shown:
        done = batch.segment_cases(predictor, work, output, single=single, wanted=wanted, again=options["again"],
                                   follow=shown.follow,
                                   energy=_meter(predictor.engine_name, options["watts_per_core"]).lap)
    if options["bids"] and done.cases:
        bids.write(output, [case["case"] for case in done.cases], models[0].plan.labels)
    summary: dict[str, Any] = {
        "engine": predictor.engine_name, "models": [str(model.path) for model in models], "cases": done.cases,
        "failed": problems + done.problems, "left_out": found.left_out}
    if wanted.probabilities:
        from ..inference import temperatures

        why = temperatures.why_none(models, predictor.predictions)
        summary["probabilities"] = {"calibrated": not why, "reason": why}
        log("probabilities: calibrated by the model folder's temperatures" if not why
            else f"probabilities: as the network has them, because {why}", quiet)
    return done.cases, done.exit_codes | ({3} if problems else set()), summary


def _classify(models: list[ModelFolder], output: Path, quiet: bool, find: Find,
              options: dict[str, Any]) -> tuple[list[dict[str, Any]], set[int], dict[str, Any]]:
    """Classify each case and write the table of class probabilities; returns the same as `_segment`."""
    from .. import outputs
    from ..contracts.predictions import TABLE, write_table
    from ..errors import DataError, UsageError
    from ..inference.classifier import Classifier
    from ..preprocessing.picture import SUFFIXES, read_images

    if len(models) > 1 or any(options[name] for name in ("tta", "probabilities", "dicom_seg", "bids", "missing",
                                                         "suffix", "features", "accept", "reject")):
        raise UsageError("A classifier takes one --model, and none of --tta, --bids, --dicom-seg, --missing, --suffix, "
                         "--features, --accept, --reject and --probabilities (its table has them).")
    table = output if output.suffix == ".csv" else output / TABLE
    outputs.check_files({table: None})
    classifier = Classifier.load(models[0].path, engine=options["engine"], threads=options["threads"])
    listed = find(SUFFIXES)
    problems, found, warnings, spent = listed.problems, {}, {}, {}
    meter = _meter(classifier.engine.name, options["watts_per_core"])
    for case, paths in progress(list(listed.cases.items()), f"infer ({classifier.engine.name})", quiet=quiet):
        try:
            meter.lap()
            began = time.perf_counter()
            image = read_images(paths)
            warnings[case] = classifier.findings(image)
            found[case] = classifier.by_class(classifier.classify(image))
            spent[case] = {"seconds": round(time.perf_counter() - began, 3), "energy": meter.lap()}
        except DataError as error:
            problems.append(f"{case}: {error.line()}")
    if found:
        write_table(table, found, classifier.classes, warnings)
    done = [{"case": case, "probabilities": values, "warnings": warnings[case], **spent[case]}
            for case, values in found.items()]
    return done, set(), {"engine": classifier.engine.name, "cases": done, "failed": problems,
                         "left_out": listed.left_out}


def _steps() -> dict[str, tuple[Step, str]]:
    """Return the step of each task, and what it does to a case."""
    from ..contracts.tasks import CLASSIFICATION, SEGMENTATION

    return {SEGMENTATION: (_segment, "segmented"), CLASSIFICATION: (_classify, "classified")}


if __name__ == "__main__":
    main()
