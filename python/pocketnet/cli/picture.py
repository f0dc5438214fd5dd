"""`pocket-picture`: draw an overview of a dataset, or the patches that a network is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import command, json_option, output_option, quiet_option, result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@command("picture", examples="""
pocket-picture --manifest out/manifest.json --fingerprint out/fingerprint.json --input /data/ours -o overview.png
pocket-picture --plan out/plan.json --splits out/splits.json --stores out/stores -o patches.png
""")
@click.option("--manifest", type=click.Path(path_type=Path), help="manifest.json of pocket-check.")
@click.option("--fingerprint", type=click.Path(path_type=Path), help="fingerprint.json of pocket-check.")
@click.option("--input", "input_", metavar="FOLDER", type=click.Path(path_type=Path), help="The dataset's folder.")
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), help="plan.json of pocket-plan.")
@click.option("--splits", type=click.Path(path_type=Path), help="splits.json of pocket-plan.")
@click.option("--stores", multiple=True, type=click.Path(path_type=Path),
              help="A store or a folder of stores; repeatable.")
@click.option("--fold", default=0, show_default=True, help="Fold whose training cases the patches come from.")
@click.option("--patches", "count", default=6, show_default=True, type=click.IntRange(1, 24),
              help="Number of patches.")
@output_option("The PNG to write.")
@quiet_option
@json_option
def main(manifest: Path | None, fingerprint: Path | None, input_: Path | None, plan_file: Path | None,
         splits: Path | None, stores: tuple[Path, ...], fold: int, count: int, output: Path, quiet: bool,
         as_json: bool) -> None:
    """Draw a dataset's spacings, intensities and cases, or normalised and augmented training patches.

    To draw a dataset, give --manifest, --fingerprint and --input. To draw patches, give --plan, --splits and --stores.
    Segmentation only.
    """
    from .. import outputs
    from ..errors import UsageError
    from ..report import quality

    outputs.check_files({output: None})
    if manifest and fingerprint and input_:
        figure = _dataset(manifest, fingerprint, input_)
    elif plan_file and splits and stores:
        figure = _patches(plan_file, splits, list(stores), fold, count)
    else:
        raise UsageError("Nothing to draw was given.",
                         todo="Give --manifest, --fingerprint and --input, or --plan, --splits and --stores.")
    quality.save(figure, output)
    result({"picture": str(output)}, as_json, str(output), quiet)


def _dataset(manifest: Path, fingerprint: Path, folder: Path) -> Figure:
    from ..contracts.fingerprint import Fingerprint
    from ..contracts.manifest import Manifest
    from ..planning.preprocessing import check_belongs
    from ..report.quality import overview

    found, prints = Manifest.read(manifest), Fingerprint.read(fingerprint)
    _check_per_voxel(found.task, manifest)
    check_belongs(prints, found, fingerprint)
    return overview(found, prints, folder)


def _patches(plan_file: Path, splits: Path, stores: list[Path], fold: int, count: int) -> Figure:
    import numpy as np

    from ..contracts.plan import Plan
    from ..contracts.splits import Splits
    from ..preprocessing.store import open_stores
    from ..report.quality import patches
    from ..training.sampling import PatchSampler
    from ..training.targets import drawn

    plan = Plan.read(plan_file)
    _check_per_voxel(plan.task, plan_file)
    split = Splits.read(splits).fold(fold)
    there = open_stores(stores)
    sampler = PatchSampler(plan, there, [case for case in split.train if case in there] or sorted(there),
                           split.intensity, fold)
    batches = [sampler.batch(step) for step in range(1, -(-count // plan.training.batch) + 1)]
    images, classes = (np.concatenate(parts)[:count] for parts in zip(*batches, strict=True))
    if classes.ndim == images.ndim:
        classes = drawn(classes, plan.labels)
    names = [label.name for label in sorted(plan.labels, key=lambda label: label.value)]
    return patches(images, classes, plan.modalities, names)


def _check_per_voxel(task: str, where: Path) -> None:
    """Raise UsageError if the task has no label maps to draw."""
    from ..contracts.tasks import TASKS
    from ..errors import UsageError

    if not TASKS[task].per_voxel:
        raise UsageError(f"There are no pictures for {task}.", where=str(where))


if __name__ == "__main__":
    main()
