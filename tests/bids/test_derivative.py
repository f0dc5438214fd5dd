"""A derivative as `pocket-infer --bids` writes it, judged by the validator of BIDS (`make test-bids`)."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pocketnet.contracts.labels import Label
from pocketnet.inference import bids
from pocketnet.inference.cases import group
from pocketnet.preprocessing import geometry

ROOT = Path(__file__).parents[2]
VALIDATOR = Path(os.environ.get("POCKET_BIDS_VALIDATOR", ROOT / ".tools/bids/bin/bids-validator-deno"))
LABELS = (Label("left part", 1, (1,)), Label("right part", 2, (2,)))
IMAGES = ("sub-1/ses-a/anat/sub-1_ses-a_run-1_T1w.nii.gz", "sub-2/anat/sub-2_T1w.nii.gz")


def faults(folder: Path) -> list[str]:
    """The codes of what the validator calls errors."""
    ran = subprocess.run([VALIDATOR, folder, "--json"], capture_output=True, text=True, timeout=300, check=False)
    return [issue["code"] for issue in json.loads(ran.stdout)["issues"]["issues"] if issue["severity"] == "error"]


def volume(path: Path, data: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    geometry.write_image(path, data, geometry.Grid(data.shape, np.eye(4)))


@pytest.fixture
def derivative(tmp_path):
    for image in IMAGES:
        volume(tmp_path / "raw" / image, np.arange(120, dtype=np.int16).reshape(4, 5, 6))
    found = bids.as_derivative(group([tmp_path / "raw"], ["T1w"]))
    for case in found.cases:
        volume(tmp_path / "out" / f"{case}.nii.gz", np.ones((4, 5, 6), np.uint8))
    bids.write(tmp_path / "out", list(found.cases), LABELS)
    return tmp_path / "out"


def test_the_validator_accepts_a_derivative(derivative):
    assert faults(derivative) == []


def test_the_validator_sees_a_wrong_name(derivative):
    path = next(derivative.rglob("*_dseg.nii.gz"))
    path.rename(path.with_name(path.name.replace("_dseg", "_segmentation")))
    assert "NOT_INCLUDED" in faults(derivative)
