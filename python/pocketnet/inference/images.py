"""Convert label maps to images of the kind that was segmented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import nibabel as nib
import numpy as np

from ..preprocessing import geometry, itk, nifti
from ..preprocessing.itk import as_simpleitk as as_simpleitk
from ..preprocessing.scan import Scan

if TYPE_CHECKING:
    import SimpleITK as sitk


def to_image(classes: np.ndarray, scan: Scan, source: Any) -> nib.Nifti1Image | sitk.Image:
    """Convert a label map (RAS+) to an image of nibabel or SimpleITK, with the geometry of the segmented image.

    Args:
        classes: (x, y, z) uint8 in RAS+.
        scan: The scan of the image.
        source: The image of the first modality.
    """
    grid = cast(geometry.Grid, scan.grid)
    data = np.ascontiguousarray(geometry.from_ras(classes, grid))
    if not isinstance(source, nib.spatialimages.SpatialImage):
        return itk.like(data, source)
    header = nifti.header_for(data.dtype, grid, "", 1.0)
    kind: Any = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    return cast(nib.Nifti1Image, kind(data.reshape(nifti.stored_shape(grid)), source.affine, header))
