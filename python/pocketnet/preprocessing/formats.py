"""File formats of volumes: which suffixes are read, and which files belong together. Suffixes are case-insensitive."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

NIFTI = (".nii.gz", ".nii")
PAIR = (".hdr.gz", ".hdr")
"""Headers of NIfTI and Analyze pairs; the voxels are in a file with the suffix `.img` or `.img.gz`."""
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
FREESURFER = (".mgz", ".mgh")
SUFFIXES = (*NIFTI, *ITK, *FREESURFER, *PAIR)
"""Suffixes of files that are volumes. A format of two files has the suffix of its header."""
SLICES = (".png", ".tif", ".tiff")
"""Suffixes of 2D images that can be written: their values are those of the label map."""
WRITTEN = (*SUFFIXES, ".img.gz", ".img", *SLICES)
"""Suffixes of files that can be written."""
VOXELS = (".img.gz", ".img", ".raw.gz", ".raw", ".zraw")
"""Suffixes of files with the voxels of a header file of the same name."""
PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
"""Suffixes of 2D images, which are read as volumes of one slice where a dataset or a user names them."""
IMAGES = (*SUFFIXES, *PICTURES)
"""Suffixes of volumes and 2D images."""
TAKEN = ".nii.gz and .nii, also .nrrd, .nhdr, .mha, .mhd, .mgz, .mgh and .hdr/.img"
"""The formats, for messages."""


def suffix_of(name: str | Path, suffixes: Iterable[str] = SUFFIXES) -> str:
    """Return a file's suffix in lower case; empty if it is none of `suffixes`."""
    lower = str(name).lower()
    return next((suffix for suffix in suffixes if lower.endswith(suffix) and len(lower) > len(suffix)), "")


def is_volume(name: str) -> bool:
    """Return whether a file name has the suffix of a volume."""
    return bool(suffix_of(name))


def is_picture(name: str) -> bool:
    """Return whether a file name has the suffix of a 2D image."""
    return bool(suffix_of(name, PICTURES))


def images_among(names: Iterable[str]) -> tuple[str, ...]:
    """Return the suffixes of images among the files of a dataset: of volumes, or of 2D images if there is no volume.

    Beside volumes, 2D images are pictures of them.
    """
    return SUFFIXES if any(map(is_volume, names)) else PICTURES


def is_written(name: str) -> bool:
    """Return whether a file name has a suffix of a volume that can be written."""
    return bool(suffix_of(name, WRITTEN))


def stem(name: str) -> str:
    """Return a file name without the suffix of a volume or 2D image."""
    return name[: len(name) - len(suffix_of(name, IMAGES))]


def header_of(path: str | Path) -> str:
    """Return the header file of a pair if `path` is its `.img` file; otherwise `path`."""
    suffix = suffix_of(path, (".img.gz", ".img"))
    return str(path) if not suffix else _swapped(str(path), suffix, "hdr")


def parts(path: str | Path) -> tuple[str, ...]:
    """Return all files of a written volume, the one named by `path` last."""
    name = str(path)
    if suffix := suffix_of(name, (".img.gz", ".img")):
        return _swapped(name, suffix, "hdr"), name
    if suffix := suffix_of(name, PAIR):
        return _swapped(name, suffix, "img"), name
    if suffix := suffix_of(name, (".mhd", ".nhdr")):
        return f"{name[: len(name) - len(suffix)]}.raw", name
    return (name,)


def beside(name: str) -> tuple[str, ...]:
    """Return the names that files with the voxels of a header file may have; none for a format of one file."""
    suffix = suffix_of(name, (*PAIR, ".mhd", ".nhdr"))
    bare = name[: len(name) - len(suffix)]
    return tuple(bare + one for voxels in VOXELS for one in (voxels, voxels.upper())) if suffix else ()


def _swapped(name: str, suffix: str, other: str) -> str:
    """Replace the three letters of a pair's suffix, in the case of the original."""
    at = len(name) - len(suffix) + 1
    return name[:at] + (other.upper() if name[at: at + 3].isupper() else other) + name[at + 3:]
