"""Each way in by itself: arrays, DICOM series, units of NRRD, grey PNG, and label maps on the grid of their image."""

import dicom_forms as forms
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from pocketnet.errors import DataError, UsageError
from pocketnet.preprocessing import dicom, geometry, itk, picture, reader, reference

VALUES = np.random.default_rng(0).integers(0, 200, (4, 5, 6)).astype(np.int16)


@pytest.mark.parametrize("datasets", [forms.slices(orientation=forms.OBLIQUE), [forms.enhanced()]])
def test_a_dicom_series_is_read_from_its_folder_and_a_file_without_a_suffix(tmp_path, datasets):
    folder = forms.write(tmp_path / "series", datasets)
    path = folder if len(datasets) > 1 else next(folder.iterdir())
    found, (data, grid) = reader.read_image(str(path)), dicom.read(path)
    np.testing.assert_array_equal(found.channel.raw, geometry.to_ras(data, grid))
    np.testing.assert_array_equal(found.grid.affine, grid.affine)
    assert (found.where, found.warnings) == (str(path), ())


@pytest.mark.parametrize("spacing", [(1, 2), (1, 2, 0), (1, -2, 3), (1, 2, np.nan), (1, 2, np.inf), (1, 2, 3, 4)])
def test_a_spacing_that_is_not_three_positive_numbers_is_refused(spacing):
    with pytest.raises(UsageError, match="three positive numbers"):
        reader.of_array(VALUES, spacing)


def test_an_array_has_an_image_a_channel_and_the_given_spacing():
    images = reader.of_array(np.stack([VALUES, -VALUES], axis=-1), (1, 2, 3))
    for image, expected, where in zip(images, (VALUES, -VALUES), ("channel 0", "channel 1"), strict=True):
        np.testing.assert_array_equal(image.volume().data, expected)
        assert image.grid.spacing == image.volume().spacing == (1, 2, 3) and image.where == where
    (single,) = reader.of_array(VALUES, None)
    assert single.grid.spacing == (1, 1, 1) and single.grid.shape == (4, 5, 6)
    for shape in ((4, 5), (4, 0, 6), (1, 2, 3, 4, 5)):
        with pytest.raises(DataError, match="Expected an array"):
            reader.of_array(np.zeros(shape), None)


@pytest.mark.parametrize("units, mm", [('"um" "um" "um"', 1e-3), ("m m m", 1e3), ('"mm" "mm" "mm"', 1), ("feet", 1)])
def test_the_unit_of_an_nrrd_is_heeded(units, mm):
    image = sitk.GetImageFromArray(VALUES.T)
    image.SetSpacing((1, 2, 3))
    image.SetOrigin((-5, 7, 9))
    image.SetMetaData("NRRD_space units", units)
    expected = np.diag([-1, -2, 3, 1.0])
    expected[:3, 3] = 5, -7, 9
    np.testing.assert_allclose(itk.of_simpleitk(image, "a").grid.affine, np.diag([mm, mm, mm, 1]) @ expected)


def test_transparency_is_ignored_and_colour_becomes_luma(tmp_path):
    grey, alpha = (np.random.default_rng(seed).integers(0, 256, (6, 4), np.uint8) for seed in (1, 2))
    Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]).save(tmp_path / "LA.png")
    np.testing.assert_array_equal(picture.read(tmp_path / "LA.png"), grey)
    colour = Image.merge("RGBA", [Image.fromarray(one) for one in (grey, alpha, grey, alpha)])
    colour.save(tmp_path / "RGBA.png")
    expected = np.asarray(colour.convert("RGB").convert("L"))
    np.testing.assert_array_equal(picture.read(tmp_path / "RGBA.png"), expected)


def test_a_label_map_takes_its_images_grid_where_the_dataset_says_so(tmp_path):
    nib.save(nib.Nifti1Image(VALUES, np.eye(4)), tmp_path / "label.nii")
    grid = geometry.Grid(VALUES.shape, np.diag([-2.0, 2, 3, 1]))
    for label_grid in (None, "own"):
        own = reference.read_label(tmp_path / "label.nii", label_grid, grid)
        np.testing.assert_array_equal(own.data, VALUES)
        assert own.spacing == (1, 1, 1)
    moved = reference.read_label(tmp_path / "label.nii", reference.BY_IMAGE, grid)
    np.testing.assert_array_equal(moved.data, VALUES[::-1])
    assert moved.spacing == (2, 2, 3) and moved.grid is grid
    with pytest.raises(DataError, match=r"shape \(4, 5, 6\), its image \(4, 5, 7\)") as caught:
        reference.read_label(tmp_path / "label.nii", reference.BY_IMAGE, geometry.Grid((4, 5, 7), grid.affine))
    assert caught.value.where == str(tmp_path / "label.nii")
