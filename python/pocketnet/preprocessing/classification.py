"""Preprocess a case of a classification: an image and its class."""

from __future__ import annotations

from pathlib import Path

from ..contracts.manifest import Case, Manifest
from ..contracts.plan import Preprocessing
from . import picture, store


def write_case(entry: Case, listing: Manifest, folder: Path, preprocessing: Preprocessing, output: Path
               ) -> tuple[str, ...]:
    """Preprocess one case into a store, as `tasks.PreprocessingTask` describes."""
    prepared = picture.prepare(picture.read_images([folder / name for name in entry.images]), preprocessing)
    store.write_store(output, entry.case, listing.modalities, prepared, None, {}, entry.class_name)
    return ()
