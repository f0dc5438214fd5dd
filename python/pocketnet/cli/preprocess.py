"""pocket-preprocess: crop and resample cases into stores that training reads patch by patch."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, input_option, json_option, output_option, progress, quiet_option, result

EXAMPLES = """
pocket-preprocess --manifest out/manifest.json --plan out/plan.json --input Task04_Hippocampus -o out/stores
pocket-preprocess --manifest out/manifest.json --plan out/plan.json --input BraTS2020 --case BraTS20_001 -o stores
"""


@command("preprocess", examples=EXAMPLES)
@click.option("--manifest", required=True, type=click.Path(path_type=Path), help="manifest.json of pocket-check.")
@click.option("--plan", required=True, type=click.Path(path_type=Path), help="plan.json of pocket-plan.")
@input_option
@click.option("--case", "only", multiple=True, help="Only this case; may be given several times.")
@output_option("Folder for the stores, one folder a case.")
@quiet_option
@json_option
def main(manifest: Path, plan: Path, input_: Path, only: tuple[str, ...], output: Path, quiet: bool,
         as_json: bool) -> None:
    """Crop and resample cases into stores; normalisation happens on reading, with each fold's constants.

    The images of a classification are resized to the plan's size.
    """
    from .. import outputs
    from ..contracts.manifest import Manifest
    from ..contracts.plan import Preprocessing
    from ..errors import DataError, UsageError
    from ..preprocessing import case as cases
    from ..preprocessing import picture, store
    from ..preprocessing.reference import read_label

    listing = Manifest.read(manifest)
    preprocessing = Preprocessing.read(plan)
    entries = [entry for entry in listing.cases if not only or entry.case in only]
    unknown = set(only) - {entry.case for entry in entries}
    if unknown:
        raise UsageError(f"The manifest has no case {', '.join(sorted(unknown))}.", where=str(manifest))
    for entry in entries:
        outputs.check_folder(output / entry.case, [input_])
    classified = listing.task == "classification"
    problems, done = [], []
    for entry in progress(entries, "preprocess", quiet=quiet):
        try:
            paths = [input_ / name for name in entry.images]
            if classified:
                store.write(output, entry.case, listing.modalities,
                            picture.prepare(picture.read_images(paths), preprocessing), None, {}, entry.class_name)
                done.append(entry.case)
                continue
            image, volume = cases.read_images(paths)
            prepared = cases.prepare(image, volume.spacing, preprocessing)
            label = None
            if entry.label:
                values = read_label(input_ / entry.label, listing.label_grid, volume.grid)
                if values.data.shape != volume.data.shape:
                    raise DataError(f"The label map has shape {values.data.shape}, the image {volume.data.shape}.")
                label = cases.prepare_label(cases.map_labels(values.data, listing.labels), prepared)
            store.write(output, entry.case, listing.modalities, prepared, label,
                        {item.name: item.value for item in listing.labels})
            done.append(entry.case)
        except DataError as error:
            problems.append(f"{entry.case}: {error.render()}")
    if problems:
        raise DataError(f"{len(problems)} of {len(entries)} cases could not be preprocessed.", problems=problems)
    result({"stores": str(output), "cases": done}, as_json)


if __name__ == "__main__":
    main()
