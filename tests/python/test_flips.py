"""Flipped bits of stores, checkpoints and model folders are detected; `make fuzz` tries more of them."""

import pytest
from fuzz import flips

COUNT = 60


@pytest.mark.parametrize("what", flips.ALL)
def test_a_flipped_bit_is_detected_or_without_effect(what, tmp_path):
    counts = flips.ALL[what](tmp_path, COUNT)
    assert counts[flips.FAILED] == 0 and counts.total() == COUNT and counts[flips.DETECTED] > COUNT / 2
