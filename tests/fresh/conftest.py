"""Fixtures of the tests on a fresh machine: a root folder a Python, each with a clone and nothing else of ours.

`POCKET_FRESH` may name a folder in which the root folders are kept for the next time; their homes never are.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fresh import PACKAGES, SUITES, FreshMachine
from roots import install, make_root, remove, said

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def given():
    """What every root folder is given: the commit and an empty folder for pip's downloads; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pocketnet-given-"))
    (folder / "pip").mkdir()
    said(["git", "clone", "-q", "--bare", "--depth", "1", f"file://{REPOSITORY}", folder / "repository"])
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def machines(given):
    """A fresh machine for each Python of `SUITES`."""
    if os.geteuid() != 0:
        pytest.fail("The tests on a fresh machine need root: to make root folders and to mount them.")
    install({"debootstrap": "debootstrap"})
    kept = os.environ.get("POCKET_FRESH")
    place = Path(kept or tempfile.mkdtemp(prefix="pocketnet-fresh-")).resolve()
    place.mkdir(exist_ok=True)
    place.chmod(0o755)
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda suite: make_root(place / suite, suite, PACKAGES), SUITES.values()))
        machines = {python: FreshMachine(place / suite, given) for python, suite in SUITES.items()}
        for machine in machines.values():
            machine.empty()
        yield machines
    finally:
        if not kept:
            remove(place)


@pytest.fixture(scope="session")
def first_commands(machines):
    """By Python, the finished process of the first command on its machine; all at the same time."""
    scripts = {"3.11": "cd pocketnet && make demo", "3.13": "cd pocketnet && make setup"}
    with ThreadPoolExecutor() as pool:
        return dict(zip(scripts, pool.map(lambda python: machines[python].run(scripts[python]), scripts), strict=True))


@pytest.fixture(scope="session")
def demo(machines, first_commands) -> FreshMachine:
    """The machine on which `make demo` has run."""
    assert first_commands["3.11"].returncode == 0, first_commands["3.11"].stdout[-6000:]
    return machines["3.11"]


@pytest.fixture(scope="session")
def newest(machines, first_commands) -> FreshMachine:
    """The machine with the newest Python, set up."""
    assert first_commands["3.13"].returncode == 0, first_commands["3.13"].stdout[-6000:]
    return machines["3.13"]


@pytest.fixture
def real_case(given) -> tuple[Path, Path]:
    """A real hippocampus and its label, where the machines see them; skips where there are none."""
    data = Path(os.environ.get("POCKET_TEST_DATA") or REPOSITORY.parent / "shared/data") / "Task04_Hippocampus"
    if not data.is_dir():
        pytest.skip(f"no real images at {data} (set POCKET_TEST_DATA)")
    image = sorted((data / "imagesTr").glob("hippocampus_*.nii.gz"))[0]
    for folder in ("imagesTr", "labelsTr"):
        (given / folder).mkdir(exist_ok=True)
        shutil.copyfile(data / folder / image.name, given / folder / image.name)
    return given / "imagesTr" / image.name, given / "labelsTr" / image.name
