"""Preprocess the cases of a dataset into stores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from ..contracts.labels import CLASSIFICATION
from ..contracts.manifest import Case, Manifest
from ..contracts.plan import Preprocessing
from ..errors import DataError
from . import case as cases
from . import geometry, picture, store
from .recorded import check_recorded
from .reference import read_label
from .scan import PreparedScan, read_scan


def write_stores(entries: Iterable[Case], listing: Manifest, folder: Path, preprocessing: Preprocessing, output: Path
                 ) -> list[str]:
    """Preprocess cases into stores; a case that fails does not stop the others.

    Args:
        entries: Cases of the manifest.
        listing: The manifest.
        folder: The dataset's folder.
        preprocessing: Preprocessing section of the plan.
        output: Folder that receives the stores.

    Returns:
        The names of the cases.

    Raises:
        DataError: Some cases failed; the message lists all of them.
    """
    problems, done = [], []
    for entry in entries:
        try:
            preprocess_case(entry, listing, folder, preprocessing, output)
            done.append(entry.case)
        except DataError as error:
            problems.append(f"{entry.case}: {error.render()}")
    if problems:
        raise DataError(f"{len(problems)} of {len(problems) + len(done)} cases could not be preprocessed.",
                        problems=problems)
    return done


def preprocess_case(entry: Case, listing: Manifest, folder: Path, preprocessing: Preprocessing, output: Path) -> None:
    """Preprocess one case into a store; see `write_stores` for the arguments.

    Raises:
        DataError: A file is unusable or was changed after the check, or the files do not belong together.
    """
    check_recorded(entry, folder, [*entry.images, *([entry.label] if entry.label else [])])
    paths = [folder / name for name in entry.images]
    if listing.task == CLASSIFICATION:
        prepared = picture.prepare(picture.read_images(paths), preprocessing)
        store.write_store(output, entry.case, listing.modalities, prepared, None, {}, entry.class_name)
        return
    scan = read_scan(paths)
    grid = cast(geometry.Grid, scan.grid)
    prepared = PreparedScan(scan, preprocessing).compute()
    label = None
    if entry.label:
        values = read_label(folder / entry.label, listing.label_grid, grid)
        if values.data.shape != scan.shape:
            raise DataError(f"The label map has shape {values.data.shape}, the image {scan.shape}.")
        label = cases.prepare_label(cases.map_labels(values.data, listing.labels), prepared)
    store.write_store(output, entry.case, listing.modalities, prepared, label,
                      {item.name: item.value for item in listing.labels})
