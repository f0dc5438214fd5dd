"""Make the demo dataset from the MNI152 template in nilearn: real anatomy without a download.

Each case is the template's skull-stripped T1 image with a small random rotation, scaling and shift, a random smooth
deformation, a random bias field and noise. The label of a voxel is the more probable tissue in the template's maps of
grey and white matter (the maps from which nilearn derives its tissue masks).

Source: ICBM 152 nonlinear symmetric 2009a, as resampled by nilearn (`nilearn.datasets.load_mni152_template`).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from .. import outputs
from ..errors import UsageError
from ..files import atomic_folder
from .index import FOLDERS, INDEX

TITLE = "Demo (made from the MNI152 template)"
LABELS = {0: "background", 1: "grey matter", 2: "white matter"}

TEMPLATE_MM = 2
SHAPE = (48, 56, 48)
SPACING_MM = 3.75
CENTRE_MM = (0.0, -18.0, 9.0)  # centre of the brain in template coordinates
BRAIN = 0.2                    # intensity threshold of the brain in the template, as in nilearn
TISSUE = 0.2                   # threshold of the grey and white matter maps

ANGLE_DEGREES = 6.0            # standard deviation of each case's random rotation; likewise below
SCALE = 0.04
SHIFT_MM = 4.0
BEND_MM = 3.0
BEND_KNOTS = (6, 7, 6)         # knots of the deformation grid, about 30 mm apart
BIAS = 0.12
BIAS_KNOTS = (4, 4, 4)
NOISE = 0.02                   # relative to `BRIGHTEST`
BRIGHTEST = 1000.0


@dataclass(frozen=True)
class Template:
    """Intensities and tissue maps, (x, y, z) in RAS+, 0…1, and the 4×4 matrix from mm to voxel index."""

    image: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    to_index: np.ndarray


def make(folder: Path, *, cases: int = 12, seed: int = 0,
         progress: Callable[[Iterable[int], int], Iterable[int]] = lambda items, total: items) -> None:
    """Write the demo dataset in the decathlon layout. The write is atomic.

    The same seed produces the same bytes. Case n does not depend on the number of cases.

    Args:
        folder: Output folder; an earlier demo in it is replaced.
        cases: Number of cases.
        seed: Seed of all random numbers.
        progress: Passes the case numbers through and shows progress.

    Raises:
        UsageError: The folder contains other files, or `cases` is below 1.
    """
    if cases < 1:
        raise UsageError(f"--cases must be at least 1. Received: {cases}", where="--cases")
    outputs.check_folder(folder)
    template = load_template()
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = np.array(CENTRE_MM) - SPACING_MM * (np.array(SHAPE) - 1) / 2
    names = [f"demo_{number:03d}" for number in range(1, cases + 1)]
    with atomic_folder(folder) as temporary:
        for inner in FOLDERS:
            (temporary / inner).mkdir()
        for number in progress(range(cases), cases):
            image, label = make_case(template, np.random.default_rng([seed, number]), affine)
            for inner, data in zip(FOLDERS, (image, label), strict=True):
                (temporary / inner / f"{names[number]}.nii.gz").write_bytes(nifti(data, affine))
        (temporary / INDEX).write_text(json.dumps(index(names, seed), indent=1) + "\n", encoding="utf-8")


def load_template() -> Template:
    """Load the template and its tissue maps at 2 mm from the nilearn package, smoothed for `SPACING_MM`."""
    from nilearn import datasets

    image, grey, white = (load(resolution=TEMPLATE_MM) for load in (
        datasets.load_mni152_template, datasets.load_mni152_gm_template, datasets.load_mni152_wm_template))
    data = [np.asarray(one.dataobj, dtype=np.float32) for one in (image, grey, white)]
    data[0] *= ndimage.binary_fill_holes(data[0] > BRAIN)
    head, first, second = (ndimage.gaussian_filter(one, 0.4 * SPACING_MM / TEMPLATE_MM) for one in data)
    return Template(head, first, second, np.linalg.inv(image.affine))


def make_case(template: Template, random: np.random.Generator,
              affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make one case.

    Args:
        template: The template.
        random: Random number generator.
        affine: 4×4 matrix from voxel index to mm.

    Returns:
        Image (int16, 0 outside the brain) and label map (uint8: 1 grey matter, 2 white matter), (x, y, z) of `SHAPE`.
    """
    indices = template.to_index @ np.concatenate([_places(random, affine), np.ones((1, np.prod(SHAPE)))])

    def sample(data: np.ndarray) -> np.ndarray:
        return ndimage.map_coordinates(data, indices[:3], order=1).reshape(SHAPE)

    image, grey, white = sample(template.image), sample(template.grey), sample(template.white)
    inside = image > BRAIN
    shading = np.exp(BIAS * _smooth(random, BIAS_KNOTS))
    image = BRIGHTEST * (image * shading + NOISE * random.standard_normal(SHAPE))
    image = np.where(inside, np.clip(np.rint(image), 1, None), 0).astype(np.int16)
    label = np.where(np.maximum(grey, white) < TISSUE, 0, np.where(white > grey, 2, 1))
    return image, np.where(inside, label, 0).astype(np.uint8)


def _places(random: np.random.Generator, affine: np.ndarray) -> np.ndarray:
    """Return the template position of each voxel of a case: (3, voxels), mm."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"))
    centre = np.array(CENTRE_MM)[:, None]
    place = affine[:3, :3] @ grid.reshape(3, -1) + affine[:3, 3:] - centre
    turn = Rotation.from_euler("xyz", ANGLE_DEGREES * random.standard_normal(3), degrees=True).as_matrix()
    scale = np.exp(SCALE * random.standard_normal(3))
    shift = SHIFT_MM * random.standard_normal(3)[:, None]
    bend = np.stack([_smooth(random, BEND_KNOTS) for _ in range(3)]).reshape(3, -1)
    return turn @ (place * scale[:, None]) + shift + BEND_MM * bend + centre


def _smooth(random: np.random.Generator, knots: tuple[int, ...]) -> np.ndarray:
    """Return a smooth random field of `SHAPE`: normal values on a coarse grid, interpolated by cubic splines."""
    field = random.standard_normal(knots)
    for axis, n in enumerate(SHAPE):
        spline = CubicSpline(np.linspace(0, 1, knots[axis]), field, axis=axis, bc_type="natural")
        field = spline(np.linspace(0, 1, n))
    return field


def nifti(data: np.ndarray, affine: np.ndarray) -> bytes:
    """Return the bytes of a `.nii.gz` file without a time stamp."""
    import nibabel as nib

    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def index(names: list[str], seed: int) -> dict[str, Any]:
    """Return the content of the demo's `dataset.json`."""
    return {
        "name": TITLE,
        "description": "Grey and white matter in the MNI152 template, bent, shaded and noisy at random "
                       f"(seed {seed})",
        "reference": "ICBM 152 nonlinear symmetric 2009a, as shipped with nilearn",
        "licence": "Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal "
                   "Neurological Institute, McGill University: free to use, copy and change with this notice",
        "tensorImageSize": "3D",
        "modality": {"0": "T1"},
        "labels": {str(value): name for value, name in LABELS.items()},
        "numTraining": len(names),
        "numTest": 0,
        "training": [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
                     for name in names],
        "test": [],
    }
