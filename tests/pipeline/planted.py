"""Words that must not come out of a run, planted where they could come in, and the search for them."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import nibabel

# Of a tracking server; they pass by the environment only.
SECRETS = {"MLFLOW_TRACKING_USERNAME": "planted-tracker", "MLFLOW_TRACKING_PASSWORD": "planted-password",
           "MLFLOW_TRACKING_TOKEN": "planted-token"}
USER = {"USER": "planted-person", "LOGNAME": "planted-person"}
# NIfTI's free text, where converters write names and dates; each fits its field.
HEADER = {"descrip": b"planted-descrip", "aux_file": b"planted-aux_file", "db_name": b"planted-db_name",
          "intent_name": b"planted-intent"}
EXTENSION = b"planted-extension"


def plant_in_headers(folder: Path) -> None:
    """Write the words into the free text and the extensions of every NIfTI image in a folder."""
    for path in sorted(folder.rglob("*.nii.gz")):
        image = nibabel.load(path)
        voxels = image.get_fdata() if image.get_data_dtype().kind == "f" else image.dataobj.get_unscaled()
        copy = nibabel.Nifti1Image(voxels.astype(image.get_data_dtype()), image.affine, image.header)
        for field, text in HEADER.items():
            copy.header[field] = text
        copy.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", EXTENSION))
        nibabel.save(copy, path)


def found(words: Iterable[str | bytes], *places: Path) -> list[str]:
    """The files that hold any of the words, each with the words, a line each; packed ones are looked into."""
    wanted = [word.encode() if isinstance(word, str) else word for word in words]
    return [f"{path}: {word.decode()}" for place in places for path in _files(place) for content in _contents(path)
            for word in wanted if word in content]


def _files(place: Path) -> Iterator[Path]:
    paths = place.rglob("*") if place.is_dir() else [place]
    return (path for path in paths if path.is_file() and not path.is_symlink())  # what links lead to is elsewhere


def _contents(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
