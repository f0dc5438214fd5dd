"""Modalities that a case lacks: left out at random while training, named at inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from pocketnet.errors import UsageError
from pocketnet.inference import cases
from pocketnet.inference.ensemble import check_missing
from pocketnet.training.augmentation import drop_modalities


def test_modalities_are_left_out_but_never_all():
    rng = np.random.default_rng(0)
    patches = [drop_modalities(np.ones((2, 2, 2, 3), np.float32), 0.8, rng).mean(axis=(0, 1, 2)) for _ in range(400)]
    assert {value for patch in patches for value in patch} == {0.0, 1.0} and all(patch.any() for patch in patches)
    assert np.mean([patch.all() for patch in patches]) == pytest.approx(0.2 + 0.8 / 8, abs=0.06)
    assert all(0.3 < np.mean([patch[channel] == 0 for patch in patches]) < 0.5 for channel in range(3))


def test_files_of_cases_without_a_modality(tmp_path):
    for name in ("a_t1.nii.gz", "b_t1.nii.gz", "b_t2.nii.gz", "c_0000.nii.gz"):
        (tmp_path / name).touch()
    found = cases.group([tmp_path], ["t1", "t2"], missing=["t2"])
    assert {name: [path.name for path in paths] for name, paths in found.cases.items()} == {
        "a": ["a_t1.nii.gz"], "b": ["b_t1.nii.gz"], "c": ["c_0000.nii.gz"]} and not found.problems
    assert cases.group([tmp_path], ["t1", "t2"]).problems == ["case a: t2 missing", "case c: t2 missing"]
    assert list(cases.group([Path(f"t2={tmp_path / 'b_t2.nii.gz'}")], ["t1", "t2"], missing=["t1"]).cases) == ["b"]


@pytest.mark.parametrize(("missing", "drop", "said"), [
    (["flair"], 0.5, "no modality 'flair'"), (["t1", "t2"], 0.5, "at least one modality"),
    (["t1"], None, "trained with all modalities"),
])
def test_what_cannot_be_missing(missing, drop, said):
    with pytest.raises(UsageError, match=said):
        check_missing(tiny.plan(drop_modality=drop), missing)
    check_missing(tiny.plan(drop_modality=0.5), ["t2"])
