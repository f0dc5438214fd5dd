"""The wheel in a clean environment, with what segmenting needs and nothing else: no TensorFlow, no clone."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nibabel
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models/hippocampus/fold1"
MOST_MIB = 400
"""Size of the libraries, without pip, its setuptools and what Python compiles."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The environment; the versions of all libraries are those of the lock file."""
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    lock = (ROOT / "python/requirements.lock").read_text()
    (folder / "constraints.txt").write_text("\n".join(re.findall(r"^[a-z0-9._-]+==[^\\\n]+", lock, re.MULTILINE)))
    (wheel,) = (ROOT / "dist").glob("pocketnet_suite-*.whl")
    subprocess.run([folder / "env/bin/python", "-m", "pip", "--disable-pip-version-check", "-q", "install",
                    "--no-compile", "-c", folder / "constraints.txt", f"pocketnet-suite[infer] @ {wheel.as_uri()}"],
                   check=True)
    return folder / "env"


def call(installed, folder, *command, code=0):
    """Run a command of the environment in a folder, with nothing of this one's settings."""
    done = subprocess.run([installed / "bin" / command[0], *command[1:]], cwd=folder, capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "HOME": str(folder)})
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A made-up image of a hippocampus' size: an ellipsoid in noise."""
    folder, chance = tmp_path_factory.mktemp("scan"), np.random.default_rng(1)
    axes = np.indices((36, 50, 32)) - np.array([18, 25, 16])[:, None, None, None]
    inside = (axes**2 / np.array([8, 18, 8])[:, None, None, None] ** 2).sum(axis=0) < 1
    image = (chance.normal(100, 10, inside.shape) + 80 * inside).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(image, np.diag([1, 1, 1, 1])), folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


def test_it_is_small_and_has_no_tensorflow(installed):
    (site,) = installed.glob("lib/python3*/site-packages")
    assert not list(site.glob("tensorflow*")) and not list(site.glob("keras*")) and (site / "pocketnet").is_dir()
    sizes = [path.stat().st_size for path in site.rglob("*")
             if path.is_file() and not path.relative_to(site).parts[0].startswith(("pip", "setuptools"))]
    assert sum(sizes) / 2**20 < MOST_MIB


def test_it_segments_as_the_clone_does(installed, scan, tmp_path):
    call(installed, tmp_path, "pocket-infer", "--model", MODEL, scan, "-o", "wheel")
    subprocess.run([ROOT / "bin/pocket-infer", "--quiet", "--model", MODEL, scan, "-o", tmp_path / "clone"], check=True)
    names = sorted(path.name for path in (tmp_path / "clone").iterdir() if not path.name.startswith("."))
    assert names == sorted(path.name for path in (tmp_path / "wheel").iterdir() if not path.name.startswith("."))
    wheel, clone = (nibabel.load(tmp_path / name / "scan.nii.gz") for name in ("wheel", "clone"))
    assert np.array_equal(wheel.dataobj, clone.dataobj) and np.array_equal(wheel.affine, clone.affine)
    assert len(np.unique(wheel.dataobj)) > 1
    code = ("import pocketnet, sys; p = pocketnet.Predictor.load(sys.argv[1]); "
            "p.segment_files([sys.argv[2]], sys.argv[3]); assert 'tensorflow' not in sys.modules")
    call(installed, tmp_path, "python", "-c", code, MODEL, scan, "python.nii.gz")
    assert np.array_equal(nibabel.load(tmp_path / "python.nii.gz").dataobj, clone.dataobj)


def test_every_command_is_there_with_its_help(installed, tmp_path):
    scripts = tomllib.loads((ROOT / "python/pyproject.toml").read_text())["project"]["scripts"]
    assert sorted(scripts) == sorted(path.name for path in (ROOT / "bin").glob("pocket-*"))
    for name in scripts:
        assert "Examples" in call(installed, tmp_path, name, "--help").stdout


def test_what_needs_more_says_what_to_install(installed, scan, tmp_path):
    done = call(installed, tmp_path, "pocket-demo", "-o", "data", code=2)
    assert "This needs the library nilearn" in done.stderr and "pip install 'pocketnet-suite[train]'" in done.stderr
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())
    scan.with_suffix("").with_suffix(".nrrd").write_bytes(b"NRRD0004\ntype: float\n")
    done = call(installed, tmp_path, "pocket-infer", "--model", MODEL, scan.parent / "scan.nrrd", "-o", "out", code=2)
    assert "scan: This needs the library SimpleITK" in done.stderr and "pocketnet-suite[formats]" in done.stderr
    versions = json.loads(call(installed, tmp_path, "pocket-code", "--versions", "--json").stdout)
    assert "0.1.0" in json.dumps(versions)


def test_a_release_has_packages_their_bill_of_materials_and_checksums():
    """Without images, which `make test-containers` builds."""
    done = subprocess.run([ROOT / "containers/release"], env=os.environ | {"DEVICES": "", "ALLOW_DIRTY": "1"},
                          text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=ROOT / "dist", text=True, capture_output=True)
    assert checked.returncode == 0 and checked.stdout.count(": OK") >= 3
    (bill,) = (ROOT / "dist").glob("*-infer.cdx.json")
    names = {part["name"] for part in json.loads(bill.read_text())["components"]}
    assert "openvino" in names and "tensorflow" not in names
