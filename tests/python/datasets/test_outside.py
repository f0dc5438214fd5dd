"""Every format in a dataset's layout is checked as inference reads it, and what no case uses is named."""

from __future__ import annotations

import gzip
import json

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner
from pocketnet.cli.check import main
from pocketnet.datasets import check, presets
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.scan import read_scan

SHAPE = (8, 6, 4)
FORMATS = (".nii.gz", ".nrrd", ".mha", ".mhd", ".mgz", ".hdr", ".NII.GZ")


@pytest.fixture
def lits(tmp_path):
    """Cases of LiTS in one format each; that of case 0 states two poses and has bytes after its gzip stream."""
    folder = tmp_path / "lits"
    folder.mkdir()
    for number, suffix in enumerate(FORMATS):
        image = np.random.default_rng(number).integers(1, 90, SHAPE).astype(np.int16)
        grid = geometry.Grid(SHAPE, np.diag([1.0, 1.0, 2.5, 1.0]))
        geometry.write_image(folder / f"volume-{number}{suffix}", image, grid)
        geometry.write_image(folder / f"segmentation-{number}{suffix}", (image > 45).astype(np.uint8), grid)
    for kind in ("volume", "segmentation"):
        made = nib.load(folder / f"{kind}-0.nii.gz")
        made.set_qform(np.diag([1.0, 1.0, 2.0, 1.0]), 1)
        nib.save(made, folder / f"{kind}-0.nii")
        content = gzip.compress((folder / f"{kind}-0.nii").read_bytes())
        (folder / f"{kind}-0.nii.gz").write_bytes(content + b"garbage" * (kind == "volume"))
        (folder / f"{kind}-0.nii").unlink()
    return folder


def test_each_format_is_checked_as_it_is_segmented(lits):
    found = check.check(lits, presets.load("lits"), label_set="liver=1")
    assert not found.problems and [case.case for case in found.manifest.cases] == [
        f"volume-{number}" for number in range(len(FORMATS))] and not found.left_out
    assert {case.spacing_mm for case in found.fingerprint.cases.values()} == {(1.0, 1.0, 2.5)}
    first = [text.removeprefix("volume-0.nii.gz: ") for text in found.warnings if text.startswith("volume-0")]
    assert tuple(first) == read_scan(lits / "volume-0.nii.gz").warnings and len(first) == 2
    for case in found.manifest.cases:
        assert {path for path in case.sha256 if path.startswith("volume")} >= set(case.images)
    assert "volume-5.img" in found.manifest.cases[5].sha256 and "volume-3.raw" in found.manifest.cases[3].sha256


def test_what_no_case_uses_is_counted_and_named(lits, tmp_path):
    for name in ("notes.txt", "more.txt", "sub/test-volume-3.nii.gz"):
        (lits / name).parent.mkdir(exist_ok=True)
        (lits / name).touch()
    (lits / "sub" / "up").symlink_to(lits)
    ran = CliRunner().invoke(main, ["--dataset", "lits", "--labels", "liver=1", "--input", str(lits), "-o",
                                    str(tmp_path / "out"), "--json"])
    assert ran.exit_code == 0, ran.output
    lines = ["left out: 1 .nii.gz file: sub/test-volume-3.nii.gz", "left out: 2 .txt files: more.txt, notes.txt",
             "left out: 1 looping link: sub/up"]
    assert json.loads(ran.stdout)["left_out"] == lines
    assert all(line[1:] in ran.stderr for line in lines)


def test_a_dangling_link_is_a_problem(lits):
    (lits / "volume-9.nii.gz").symlink_to(".git/annex/gone")
    found = check.check(lits, presets.load("lits"), label_set="liver=1")
    assert [(one.file, one.problem) for one in found.problems] == [
        ("volume-9.nii.gz", "a link to .git/annex/gone, which is not there")]
