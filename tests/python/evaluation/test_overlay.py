"""Which cases are shown, and the picture itself."""

import numpy as np
import pytest
from pictures import check_picture
from PIL import Image
from pocketnet.contracts.labels import Label
from pocketnet.evaluation import overlay, thumbnail
from pocketnet.inference.picture import draw_picture
from pocketnet.preprocessing.scan import scan_of

NAN = float("nan")


@pytest.mark.parametrize("dice, picked", [
    ({"a": 0.5, "b": 0.9, "c": 0.7, "d": NAN}, [("best", "b"), ("median", "c"), ("worst", "a")]),
    ({"a": 0.5, "b": 0.9}, [("best", "b"), ("worst", "a")]),
    ({"a": 0.5}, [("best", "a")]),
    ({"a": NAN}, []),
])
def test_best_median_worst(dice, picked):
    assert overlay.pick(dice) == picked


def test_planes_meet_the_mask_even_where_its_centre_is_hollow():
    mask = np.zeros((20, 20, 20), bool)
    mask[2:5, 2:18, 3:5] = mask[15:18, 2:18, 3:5] = True
    middle = overlay.centre(mask)
    assert all(np.take(mask, index, axis).any() for axis, index in enumerate(middle))
    assert overlay.centre(np.zeros((4, 6, 8), bool)) == (2, 3, 4)


def test_radiological_orientation():
    """A voxel on the patient's right, front and top lies on the picture's left (or front) and top."""
    volume = np.zeros((5, 6, 7))
    volume[4, 5, 6] = 1  # R, A, S in RAS+
    for plane, index in zip(overlay.PLANES, (6, 5, 4), strict=True):
        cut = overlay.plane_of(volume, index, plane)
        assert np.argwhere(cut).tolist() == [[cut.shape[0] - 1, 0]], plane[0]  # rows count from the bottom


@pytest.mark.parametrize("shape, spacing", [((35, 50, 36), (1, 1, 1)), ((60, 60, 12), (0.7, 0.7, 5))])
def test_picture_is_small_and_has_both_colours(tmp_path, shape, spacing):
    generator = np.random.default_rng(0)
    image = generator.normal(100, 20, shape).astype(np.float32)
    truth, found = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    truth[10:20, 15:30, 4:9] = 1
    truth[10:20, 30:40, 4:9] = 2
    found[12:22, 15:40, 4:9] = 1
    overlay.draw_overlay(tmp_path / "a.png", image, truth, found, spacing, "a case")
    assert (tmp_path / "a.png").stat().st_size < 60_000
    colours = {tuple(colour) for colour in np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)}
    assert {(0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00), (0xD5, 0x5E, 0x00)} <= colours


def test_a_thumbnail_shows_the_slice_that_differs_most_with_both_outlines():
    shape = (40, 50, 20)
    image = np.full(shape, 10, np.float32)
    truth, found = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    truth[10:20, 20:30, 5:15] = found[10:20, 20:30, 5:15] = 1
    found[20:24, 20:30, 12] = 1  # towards the patient's right, in this slice only
    image[30:, :, 12] = 100  # a bright band on the right of the patient
    picture = np.asarray(thumbnail.draw(image, truth, found, (1, 1, 2)))
    assert picture.shape == (thumbnail.SIDE, thumbnail.SIDE, 3)
    blue, orange = ((picture == colour).all(-1) for colour in ((0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)))
    assert np.argwhere(orange)[:, 1].min() < np.argwhere(blue)[:, 1].min()  # the right is on the left
    bright = (picture == 255).all(-1)
    assert bright[:, :40].any() and not bright[:, 96:].any()
    front = np.zeros(shape, np.uint8)
    front[18:22, 45:50, 10] = 1
    dark = np.asarray(thumbnail.draw(image, truth, np.where(front, 1, truth).astype(np.uint8), (1, 1, 2)))
    assert np.argwhere((dark == (0xE6, 0x9F, 0x00)).all(-1))[:, 0].min() < 60  # the front is at the top


def test_the_worst_cases_get_thumbnails():
    assert thumbnail.worst({"a": 0.5, "b": NAN, "c": 0.2, "d": 0.5}) == ["c", "a", "d", "b"]
    assert len(thumbnail.worst({str(number): 0.5 for number in range(200)})) == thumbnail.MOST


@pytest.mark.parametrize("image", [np.zeros((8, 9, 10)), np.full((8, 9, 10), 7.0)])
def test_empty_masks_and_flat_images_are_drawn(tmp_path, image):
    empty = np.zeros((8, 9, 10), np.uint8)
    overlay.draw_overlay(tmp_path / "a.png", image, empty, empty, (1, 1, 1), "nothing")
    assert Image.open(tmp_path / "a.png").size[0] > 100
    assert thumbnail.draw(image, empty, empty, (1, 1, 1)).size == (thumbnail.SIDE, thumbnail.SIDE)


@pytest.fixture(scope="module")
def case():
    """A ball in black, its labels, a prediction that is shifted and reaches an edge, and voxels of 1 × 1.5 × 3 mm."""
    shape, spacing = (40, 30, 16), (1, 1.5, 3)
    x, y, z = ((np.arange(n) - n / 2 + 0.5) * step for n, step in zip(shape, spacing, strict=True))
    far = x[:, None, None] ** 2 + y[:, None] ** 2 + z**2
    image = np.where(far < 13**2, 100 + 4 * x[:, None, None] + 2 * y[:, None] - z, 0).astype(np.float32)
    reference = np.where(far < 5**2, 2, np.where(far < 9**2, 1, 0)).astype(np.uint8)
    prediction = np.roll(reference, (2, -1), (0, 1))
    prediction[:4, 13:18, 6:10] = 3
    return image, reference, prediction, spacing


def test_a_case_is_drawn_as_before(case, tmp_path):
    overlay.draw_overlay(tmp_path / "overlay.png", *case, "A case with a $ and <b>")
    check_picture(tmp_path / "overlay.png", "overlay.png")


def test_labels_are_drawn_as_before(case, tmp_path):
    labels = [Label(name, value, (value,)) for value, name in ((1, "edema"), (2, "core"), (3, "cyst"))]
    overlay.label_maps(*case, labels, "A case").savefig(tmp_path / "labels.png", dpi=100)
    check_picture(tmp_path / "labels.png", "labels.png")


def test_a_prediction_alone_is_drawn_around_itself(case):
    image, _, prediction, spacing = case
    figure = overlay.label_maps(image, np.zeros_like(prediction), prediction, spacing, [Label("edema", 1, (1,))], "")
    below = figure.axes[3].images[1].get_array()
    assert (below[..., 3] > 0).any()


@pytest.mark.parametrize("closed", [True, False])
def test_an_outline_at_the_pictures_edge_is_closed_or_open(closed):
    from matplotlib.figure import Figure

    mask = np.zeros((6, 8), bool)
    mask[2:4, :3] = True
    axis = Figure().subplots()
    overlay.outline(axis, mask, (0, 16, 0, 18), "red", "solid", closed)
    (line,) = axis.collections[0].get_paths()
    assert line.vertices.min(axis=0).tolist() == [0 if closed else -1, 6]
    assert line.vertices.max(axis=0).tolist() == [6, 12]
    assert (line.vertices[0] == line.vertices[-1]).all() == closed


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_drawn_in_its_own_plane_only(tmp_path, axis):
    shape, spacing = np.insert((60, 40), axis, 1), np.insert((1.0, 1.0), axis, 999.0)
    image = np.random.default_rng(0).random(shape).astype(np.float32) + 1
    reference = (image > 1.5).astype(np.uint8)
    overlay.draw_overlay(tmp_path / "a.png", image, reference, 1 - reference, spacing, "a slice")
    width, height = Image.open(tmp_path / "a.png").size
    assert 0.3 * width < height < width  # two planes side by side; three planes of 999 mm are far higher
    labels = [Label("cell", 1, (1,))]
    assert len(overlay.label_maps(image, reference, reference, spacing, labels, "").axes) == 2
    draw_picture(tmp_path / "b.png", scan_of(image[..., None], spacing), reference, labels, {"cell": 1.0}, "a slice")
    assert Image.open(tmp_path / "b.png").width == 60 * 260 // 40 + 4 * 6  # one plane of 260 rows, and gaps
