"""Damaged DICOM files end in a refusal or in the right place, never in another error or a volume that lacks a slice.

`POCKET_FUZZ` sets how many are tried.
"""

import os
import random
import shutil

import dicom_forms as forms
import numpy as np
import test_dicom
from pocketnet.errors import DataError
from pocketnet.preprocessing import dicom

FORMS = ("classic", "RLE", "JPEG-LS", "JPEG lossless", "JPEG 2000", "deflated", "implicit VR", "big endian",
         "a modality LUT", "no preamble", "8 bits")
COUNT = int(os.environ.get("POCKET_FUZZ", 60))


def damaged(content, draw):
    """The content with some bits flipped, bytes inserted or zeroed, or its end cut; mostly in the header."""
    content = bytearray(content)
    kind = draw.choice(("flip", "flip", "cut", "insert", "zero", "other"))
    for _ in range(draw.choice((1, 1, 3, 20))):
        at = draw.randrange(len(content)) if draw.random() < 0.4 else draw.randrange(128, min(len(content), 1200))
        if kind == "flip":
            content[at] ^= 1 << draw.randrange(8)
        elif kind == "cut":
            return bytes(content[:at])
        elif kind == "insert":
            content[at:at] = draw.randbytes(draw.randrange(1, 9))
        elif kind == "zero":
            content[at: at + 8] = bytes(8)
        else:
            content[at] = draw.randrange(256)
    return bytes(content)


def test_damaged_files(tmp_path):
    sources = {name: test_dicom.READ[name][0](tmp_path / str(index)) for index, name in enumerate(FORMS)}
    draw = random.Random(4)
    outcomes = {"read": 0, "refused": 0}
    for number in range(COUNT):
        name = draw.choice(FORMS)
        folder = shutil.copytree(sources[name], tmp_path / f"damaged{number}")
        path = draw.choice(sorted(folder.iterdir()))
        path.write_bytes(damaged(path.read_bytes(), draw))
        try:
            data, grid = dicom.read(folder)
        except DataError:
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
            assert data.shape == (forms.COLUMNS, forms.ROWS, forms.SLICES), (name, number)
            np.testing.assert_allclose(grid.affine, forms.affine(), atol=0.1, err_msg=f"{name} {number}")
        shutil.rmtree(folder)
    assert min(outcomes.values()) > 0.05 * COUNT, outcomes
