"""2D images as volumes of one slice: what is read, what is refused, and label maps written as images."""

import io

import numpy as np
import pytest
from PIL import Image
from pocketnet.errors import DataError, UsageError
from pocketnet.preprocessing import flat, geometry
from pocketnet.preprocessing.grid import Grid
from pocketnet.preprocessing.scan import read_scan

ROWS, COLUMNS = 5, 7
GREY = np.arange(ROWS * COLUMNS, dtype=np.uint8).reshape(ROWS, COLUMNS)
RGB = np.stack([GREY, GREY + 50, 255 - GREY], axis=-1)


def encoded(image, suffix="PNG", **options):
    out = io.BytesIO()
    image.save(out, suffix, **options)
    return out.getvalue()


def palette(values=GREY):
    image = Image.fromarray(values, "P")
    image.putpalette([n for value in range(256) for n in (255 - value, value, 0)])
    return image


def alpha(pixels):
    return Image.fromarray(np.concatenate([pixels, np.full((ROWS, COLUMNS, 1), 9, np.uint8)], axis=-1))


@pytest.mark.parametrize("content, expected", [
    (encoded(Image.fromarray(GREY)), GREY), (encoded(Image.fromarray(GREY), "TIFF"), GREY),
    (encoded(Image.fromarray(GREY.astype(np.uint16) * 1000)), GREY.astype(int) * 1000),
    (encoded(Image.fromarray(GREY.astype(np.uint16) * 1000), "TIFF"), GREY.astype(int) * 1000),
    (encoded(Image.fromarray(GREY / np.float32(4)), "TIFF"), GREY / 4),
    (encoded(Image.fromarray(GREY > 9)), GREY > 9), (encoded(palette()), GREY),
    (encoded(alpha(GREY[..., None])), GREY), (encoded(alpha(np.stack([GREY] * 3, axis=-1))), GREY)])
def test_a_grey_image_has_the_values_of_its_file(content, expected):
    image = flat.parse(content, "a.png")
    found = image.volume().data
    assert found.shape == (COLUMNS, ROWS, 1)
    np.testing.assert_array_equal(geometry.from_ras(found, image.grid)[..., 0].T, expected.astype(np.float32))


@pytest.mark.parametrize("image", [Image.fromarray(RGB), alpha(RGB)])
def test_channels_of_an_image_in_colours(image, tmp_path):
    path = tmp_path / "a.png"
    image.save(path)
    assert geometry.volumes(path) == 3
    scan = read_scan([f"{path}[{channel}]" for channel in range(3)])
    for channel, found in enumerate(scan.channels):
        plane = geometry.from_ras(np.asarray(found.raw), scan.grid)[..., 0].T
        np.testing.assert_array_equal(plane, RGB[..., channel])


def wide_png():
    """A PNG with 16 bits in each of three channels, which Pillow cannot write: a header's byte is changed."""
    content = bytearray(encoded(Image.fromarray(RGB)))
    content[24] = 16
    import struct
    import zlib

    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


@pytest.mark.parametrize("content, channel, message", [
    (encoded(Image.fromarray(RGB)), None, r"colours \(RGB\)"), (encoded(alpha(RGB)), None, r"colours \(RGBA\)"),
    (encoded(Image.fromarray(RGB).convert("CMYK"), "TIFF"), None, "CMYK"),
    (encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG"), 0, "CMYK"),
    (encoded(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.fromarray(GREY)]), None, "2 pages"),
    (encoded(Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(GREY + 9)]), None, "2 pages"),
    (encoded(Image.fromarray(GREY)), 1, "2 channels, found 1"), (encoded(Image.fromarray(RGB)), 3, "4 channels"),
    (encoded(Image.fromarray(GREY))[:-30], None, "decoded"), (b"GIF89a", None, "not a PNG")])
def test_other_images_are_refused_by_name(content, channel, message):
    with pytest.raises(DataError, match=message) as error:
        flat.parse(content, "labels/a.png", channel)
    assert error.value.where == "labels/a.png" and error.value.exit_code == 3


def test_16_bits_of_several_channels_are_not_cut_to_8():
    with pytest.raises(DataError, match="found 16|decoded"):
        flat.parse(wide_png(), "a.png", 0)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_label_map_is_written_as_an_image(tmp_path, suffix, axis):
    shape = [COLUMNS, ROWS]
    shape.insert(axis, 1)
    grid = Grid(tuple(shape), np.diag([-1.0, 2.0, 3.0, 1.0]))
    classes = geometry.to_ras(GREY.T.reshape(shape), grid)
    path = tmp_path / f"a{suffix}"
    geometry.write_image(path, classes, grid, note="pocket-infer 1 ü")
    np.testing.assert_array_equal(np.asarray(Image.open(path)), GREY)
    assert geometry.note_of(path) == "pocket-infer 1 ü" if suffix == ".png" else geometry.note_of(path)


def test_a_volume_is_no_image(tmp_path):
    with pytest.raises(UsageError, match="2 × 3 × 4"):
        geometry.write_image(tmp_path / "a.png", np.zeros((2, 3, 4), np.uint8), Grid((2, 3, 4), np.eye(4)))
