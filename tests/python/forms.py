"""Forms in which one and the same volume may lie in a NIfTI file, each a function that writes it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (7, 9, 5)
ORIGIN = np.array([-30.5, 12.25, 7.0])
Q, R = np.linalg.qr(np.array([[0.936, -0.283, 0.211], [0.302, 0.951, -0.066], [-0.182, 0.125, 0.975]]))
ROTATION = Q * np.sign(np.diag(R))
SHEAR = np.array([[1, 0.15, 0.05], [0, 1, -0.1], [0, 0, 1]])
CODES = [code for order in itertools.permutations(("RL", "AP", "SI")) for code in itertools.product(*order)]
TYPES = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


def voxels(dtype="int16", shape=SHAPE) -> np.ndarray:
    """Values from 1 to 100 without any symmetry."""
    return np.random.default_rng(3).integers(1, 101, shape).astype(dtype)


def affine(matrix=None, scale=1.0) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3] = np.diag([0.7, 0.9, 2.5]) if matrix is None else matrix
    out[:3, 3] = ORIGIN
    return np.diag([scale, scale, scale, 1]) @ out


def image(matrix=None, *, kind=nib.Nifti1Image, codes=(1, 1), qform=None, dtype="int16", shape=SHAPE, unit="mm",
          scale=1.0):
    made = kind(voxels(dtype, shape), affine(matrix, scale), dtype=dtype)
    made.header.set_xyzt_units(unit, "sec")
    made.set_sform(affine(matrix, scale), codes[1])
    made.set_qform(affine(matrix if qform is None else qform, scale), codes[0])
    return made


def reoriented(codes: tuple[str, ...], matrix=None):
    made = image(matrix)
    turn = nib.orientations.ornt_transform(nib.io_orientation(made.affine), nib.orientations.axcodes2ornt(codes))
    return made.as_reoriented(turn)


def scaled(slope: float, inter: float):
    made = image()
    made.header.set_slope_inter(slope, inter)
    return made


def swapped(made):
    """The same image, stored in the other byte order."""
    return type(made)(np.asarray(made.dataobj).astype(made.get_data_dtype().newbyteorder(">")), made.affine,
                      made.header.as_byteswapped(">"))


def without_codes(made):
    made.header["qform_code"] = made.header["sform_code"] = 0
    return type(made)(np.asarray(made.dataobj), None, made.header)


def save(made, path: Path) -> None:
    """Save without nibabel's own choice of scaling."""
    if isinstance(made, nib.Nifti1Image) and made.header.get_slope_inter()[0] not in (None, 1.0):
        header = made.header.copy()
        header["vox_offset"] = header.single_vox_offset
        header["magic"] = header.single_magic
        with nib.openers.Opener(str(path), "wb") as file:
            header.write_to(file)
            file.write(np.asarray(made.dataobj).tobytes(order="F"))
        return
    nib.save(made, path)


def _time(made):
    made.header.set_zooms((*made.header.get_zooms()[:3], 2.5))
    made.header.set_xyzt_units("mm", "msec")
    return made


FORMS: dict[str, Callable[[], nib.Nifti1Image]] = {
    "plain": image,
    **{"to " + "".join(codes): lambda codes=codes: reoriented(codes) for codes in CODES[1::4]},
    "oblique": lambda: image(ROTATION),
    "oblique, anisotropic": lambda: image(ROTATION @ np.diag([0.7, 0.9, 2.5])),
    "oblique, left-handed": lambda: image(ROTATION @ np.diag([-1, 1, 1])),
    **{f"oblique to {codes}": lambda codes=codes: reoriented(tuple(codes), ROTATION)
       for codes in ("LPI", "SRA", "PIL")},
    "sheared, no qform": lambda: image(SHEAR, codes=(0, 1)),
    "sheared, with a rigid qform": lambda: image(ROTATION @ SHEAR, qform=ROTATION),
    "sheared and left-handed": lambda: image(SHEAR @ np.diag([-1, 1, 1]), codes=(0, 2)),
    "sform rounded to three decimals": lambda: image(np.round(ROTATION, 3), qform=ROTATION),
    "sform rounded to one decimal": lambda: image(np.round(ROTATION, 1), qform=ROTATION),
    "qform of another pose": lambda: image(1.05 * ROTATION, codes=(1, 4), qform=np.eye(3)),
    "qform of another orientation": lambda: image(np.diag([-1, -1, 1]), codes=(1, 2), qform=np.diag([1, 1, 2])),
    "qform only": lambda: image(ROTATION, codes=(1, 0)),
    "qform only, left-handed": lambda: image(ROTATION @ np.diag([1, -1, 1]), codes=(3, 0)),
    "sform only": lambda: image(ROTATION, codes=(0, 4)),
    "codes 2 and 3": lambda: image(codes=(2, 3)),
    "code 5": lambda: image(codes=(5, 5)),
    "no codes": lambda: without_codes(image()),
    "no codes, 4D": lambda: without_codes(image(shape=(*SHAPE, 1))),
    "4D": lambda: image(shape=(*SHAPE, 1)),
    "4D, oblique, with a repetition time": lambda: _time(image(ROTATION, shape=(*SHAPE, 1))),
    "5D": lambda: image(shape=(*SHAPE, 1, 1)),
    "NIfTI-2": lambda: image(ROTATION, kind=nib.Nifti2Image),
    "NIfTI-2, 4D, two poses": lambda: image(ROTATION, kind=nib.Nifti2Image, qform=np.eye(3), shape=(*SHAPE, 1)),
    "big-endian": lambda: swapped(image(ROTATION)),
    "big-endian NIfTI-2": lambda: swapped(image(ROTATION, kind=nib.Nifti2Image)),
    "big-endian, float": lambda: swapped(image(ROTATION, dtype="float32")),
    **{dtype: lambda dtype=dtype: image(ROTATION, dtype=dtype) for dtype in TYPES},
    "scl_slope": lambda: scaled(0.25, 0),
    "scl_slope and scl_inter": lambda: scaled(2.0, -1024),
    "micron": lambda: image(unit="micron", scale=1000.0),
    "micron, oblique": lambda: image(ROTATION, unit="micron", scale=1000.0),
    "micron, two poses": lambda: image(ROTATION, qform=np.eye(3), unit="micron", scale=1000.0),
    "metre": lambda: image(unit="meter", scale=0.001),
    "no unit": lambda: image(unit="unknown"),
    **{f"a voxel thick along {'xyz'[axis]}": lambda axis=axis: image(
        ROTATION, shape=tuple(1 if i == axis else n for i, n in enumerate(SHAPE))) for axis in range(3)},
    "a line of voxels": lambda: image(ROTATION, shape=(1, 9, 1)),
    "far from the origin": lambda: image(np.diag([1.0, 1.0, 1.0]) + 1e-3 * ROTATION),
}
