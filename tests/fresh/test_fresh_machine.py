"""The README's first hour on a machine that has Python, git and make, and an ordinary user with an empty home."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
from fresh import SUITES, locked_for

LOCKS = ("python/requirements.lock", "conf/nextflow/requirements.lock")  # what `make setup` installs


def tasks(machine) -> dict[str, str]:
    """Status by task in the newest run of the demo; without VERSIONS, which asks for the code's checksums each time."""
    newest = max(machine.clone.glob("results/demo/pipeline_info/trace_*.txt"), key=lambda path: path.name)
    with open(newest, newline="") as handle:
        return {row["name"]: row["status"] for row in csv.DictReader(handle, delimiter="\t")
                if not row["name"].startswith("VERSIONS")}


@pytest.mark.parametrize("python", SUITES)
def test_the_machine_is_fresh(machines, python):
    machine = machines[python]
    done = machine.run("python3 --version; id -u; ls -A; ls -d /usr/lib/jvm /opt/* 2> /dev/null; "
                       "command -v java jar mvn nextflow conda curl wget pip ps", offline=True)
    version, user, *held = done.stdout.split("\n")[:-1]
    assert version.startswith(f"Python {python}.") and user != "0"
    assert held == ["pocketnet"]


def test_make_demo_runs_to_its_report(demo, first_commands):
    said = first_commands["3.11"].stdout
    results = demo.clone / "results/demo"
    assert "Done." in said and f"/{results.relative_to(demo.root)}/report.html" in said
    assert (results / "report.html").stat().st_size > 100_000
    with open(results / "comparison/metrics.csv", newline="") as handle:
        assert {row["width"] for row in csv.DictReader(handle)} == {"pocket", "full"}


def test_a_second_make_demo_repeats_nothing_and_needs_no_network(demo):
    before = tasks(demo)
    done = demo.run("cd pocketnet && make demo", offline=True)
    assert done.returncode == 0, done.stdout
    assert "Installing" not in done.stdout
    assert before and tasks(demo) == dict.fromkeys(before, "CACHED")


def test_the_shipped_model_segments_a_real_image(demo, real_case):
    image, label = real_case
    done = demo.run(f"pocketnet/bin/pocket-infer --model pocketnet/models/hippocampus/fold1 {image} -o seg.nii.gz",
                    offline=True)
    assert done.returncode == 0, done.stdout
    segmented = nib.load(demo.home / "seg.nii.gz")
    found, true = np.asarray(segmented.dataobj), np.asarray(nib.load(label).dataobj)
    (demo.home / "seg.nii.gz").unlink()
    assert np.allclose(segmented.affine, nib.load(image).affine)
    for part in (1, 2):
        dice = 2 * ((found == part) & (true == part)).sum() / ((found == part).sum() + (true == part).sum())
        assert dice > 0.8, (part, dice)


def test_set_up_leaves_the_home_alone(newest):
    """Before a command of ours has run there; pip's downloads, the one thing kept, are in a folder of the test."""
    assert [path.name for path in newest.home.iterdir()] == ["pocketnet"]


def test_set_up_works_on_the_newest_python(newest):
    done = newest.run("cd pocketnet && bin/pocket-models --json && bin/nextflow -version", offline=True)
    assert done.returncode == 0, done.stdout
    assert "764418" in done.stdout and "24.10.8" in done.stdout
    done = newest.run("pocketnet/.venv/bin/python -c 'import tensorflow, keras, openvino, numba, SimpleITK, mlflow'",
                      offline=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("lock", LOCKS)
def test_each_locked_requirement_has_a_locked_wheel_for_python_3_12(newest, lock):
    """Debian has no Python 3.12; pip of another one asks the registry for it."""
    (newest.given / "lock").write_text(locked_for(newest.clone / lock, "3.12"))
    done = newest.run(f"pocketnet/.venv/bin/python pocketnet/tests/fresh/wheels.py {newest.given}/lock 3.12")
    assert done.returncode == 0, done.stdout
    wheels = json.loads(done.stdout.splitlines()[-1])
    assert len(wheels) == len((newest.given / "lock").read_text().splitlines())
    assert [name for name, wheel in wheels.items() if wheel is None] == []
