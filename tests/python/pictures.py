"""Drawn pictures are those that someone has looked at: `tests/golden/pictures`."""

import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

LOOKED_AT = Path(__file__).resolve().parents[1] / "golden/pictures"
STEP = 16
"""Grey levels by which a pixel may differ, since edges are smoothed with floating-point numbers."""
SHARE = 1e-4
"""Share of the pixels that may differ by more."""


def check_picture(path: Path, name: str) -> None:
    """Compare a drawn picture with the one that was looked at; with `POCKET_DRAW_ANEW` set, put it in its place."""
    expected = LOOKED_AT / name
    if os.environ.get("POCKET_DRAW_ANEW"):
        shutil.copyfile(path, expected)
    found, wanted = (np.asarray(Image.open(one).convert("RGB")).astype(int) for one in (path, expected))
    assert found.shape == wanted.shape, (path, expected)
    differs = (np.abs(found - wanted).max(axis=-1) > STEP).mean()
    assert differs <= SHARE, f"{differs:.2%} of the pixels of {path} differ from {expected}"
