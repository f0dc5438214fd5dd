"""`pocket-preprocess`: crop and resample cases into stores that training reads patch by patch."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, input_option, json_option, log, output_option, progress, quiet_option, result

EXAMPLES = """
pocket-preprocess --manifest out/manifest.json --plan out/plan.json --input Task04_Hippocampus -o out/stores
pocket-preprocess --manifest out/manifest.json --plan out/plan.json --input BraTS2020 --case BraTS20_001 -o stores
"""


@command("preprocess", examples=EXAMPLES)
@click.option("--manifest", required=True, type=click.Path(path_type=Path), help="manifest.json of pocket-check.")
@click.option("--plan", required=True, type=click.Path(path_type=Path), help="plan.json of pocket-plan.")
@input_option
@click.option("--case", "only", multiple=True, help="Preprocess only this case; repeatable.")
@output_option("Folder for the stores, one folder per case, and their index.")
@quiet_option
@json_option
def main(manifest: Path, plan: Path, input_: Path, only: tuple[str, ...], output: Path, quiet: bool,
         as_json: bool) -> None:
    """Crop and resample cases into stores.

    Stores are not normalised: training normalises patches as it reads them, with each fold's constants. Images of a
    classification are resized to the plan's size.
    """
    from .. import outputs
    from ..contracts.manifest import Manifest
    from ..contracts.plan import Preprocessing
    from ..errors import UsageError
    from ..preprocessing.dataset import write_stores
    from ..preprocessing.index import INDEX
    from ..preprocessing.store import write_index

    listing = Manifest.read(manifest)
    preprocessing = Preprocessing.read(plan)
    entries = [entry for entry in listing.cases if not only or entry.case in only]
    unknown = set(only) - {entry.case for entry in entries}
    if unknown:
        raise UsageError(f"The manifest has no case {', '.join(sorted(unknown))}.", where=str(manifest))
    for entry in entries:
        outputs.check_folder(output / entry.case, [input_])
    outputs.check_files({output / INDEX: None})
    warnings: list[str] = []
    done = write_stores(progress(entries, "preprocess", quiet=quiet), listing, input_, preprocessing, output,
                        warnings.append)
    write_index(output)
    for warning in warnings:
        log(f"Warning: {warning}", quiet)
    result({"stores": str(output), "cases": done, "warnings": warnings}, as_json)


if __name__ == "__main__":
    main()
