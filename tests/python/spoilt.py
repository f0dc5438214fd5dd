"""Ways to spoil an image file, for tests of what is said of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def truncate_inside(path: Path) -> None:
    """A whole gzip stream of half a NIfTI file."""
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[: len(content) // 2]))


def wrong_checksum(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(bytes(content))


def not_gzip(path: Path) -> None:
    path.write_bytes(gzip.decompress(path.read_bytes()))


def not_nifti(path: Path) -> None:
    path.write_bytes(gzip.compress(b"<html>404: there is no such scan</html>" * 20))


def voxels(change, dtype=np.float32):
    """Spoil by changing the voxels."""
    def spoil(path: Path) -> None:
        image = nib.load(path)
        data = np.asarray(image.dataobj, dtype=dtype)
        nib.save(nib.Nifti1Image(change(data), image.affine), path)
    return spoil


def put(index, value):
    def change(data: np.ndarray) -> np.ndarray:
        data[index] = value
        return data
    return change


def affine(change):
    """Spoil by changing the affine."""
    def spoil(path: Path) -> None:
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), change(image.affine.copy())), path)
    return spoil


def singular(path: Path) -> None:
    """The header's third sform row, bytes 312 to 328 of NIfTI-1, set to zero."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[312:328] = bytes(16)
    path.write_bytes(gzip.compress(bytes(content)))
