"""Preprocess a case of a segmentation: volumes and their label map."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from ..contracts.labels import overlapping
from ..contracts.manifest import Case, Manifest
from ..contracts.plan import Preprocessing
from ..errors import DataError
from . import case as cases
from . import geometry, store
from .label_maps import annotated_labels, map_labels
from .reference import read_label
from .scan import PreparedScan, read_scan


def write_case(entry: Case, listing: Manifest, folder: Path, preprocessing: Preprocessing, output: Path
               ) -> tuple[str, ...]:
    """Preprocess one case into a store, as `tasks.PreprocessingTask` describes."""
    scan = read_scan([folder / name for name in entry.images])
    grid = cast(geometry.Grid, scan.grid)
    prepared = PreparedScan(scan, preprocessing).compute()
    label, known, warnings = None, annotated_labels(listing.labels, entry.annotated), scan.warnings
    if entry.label:
        values = read_label(folder / entry.label, listing.label_grid, grid)
        if values.data.shape != scan.shape:
            raise DataError(f"The label map has shape {values.data.shape}, the image {scan.shape}.")
        warnings += tuple(f"{Path(entry.label).name}: {text}" for text in values.warnings)
        label = cases.prepare_label(map_labels(values.data, listing.labels if overlapping(listing.labels) else known,
                                               listing.ignore), prepared)
    store.write_store(output, entry.case, listing.modalities, prepared, label,
                      {item.name: item.parts or item.value for item in known},
                      annotation=store.Annotation(entry.annotated, listing.ignore is not None))
    return warnings
