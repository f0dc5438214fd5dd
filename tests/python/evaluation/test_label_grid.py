"""References whose headers do not say their grid, compared on the image's."""

import nibabel as nib
import numpy as np
import pytest
from pocketnet.contracts.labels import Label
from pocketnet.errors import DataError
from pocketnet.evaluation.cases import read_pair

LABELS = [Label("liver", 1, (1, 2))]


def test_a_reference_is_taken_voxel_by_voxel_on_its_images_grid(tmp_path):
    values = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "reference.nii")
    nib.save(nib.Nifti1Image((values > 0).astype(np.uint8), np.diag([-2, 2, 3, 1])), tmp_path / "prediction.nii.gz")
    paths = tmp_path / "reference.nii", tmp_path / "prediction.nii.gz"
    with pytest.raises(DataError, match="another grid"):
        read_pair(*paths, LABELS)
    reference, prediction, spacing = read_pair(*paths, LABELS, "image")
    np.testing.assert_array_equal(reference, prediction)
    np.testing.assert_array_equal(reference, (values > 0)[::-1])
    assert spacing == (2, 2, 3)
    nib.save(nib.Nifti1Image(values[1:], np.eye(4)), tmp_path / "reference.nii")
    with pytest.raises(DataError, match="shape"):
        read_pair(*paths, LABELS, "image")
