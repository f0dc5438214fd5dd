"""Fixtures of the tests in containers: one machine with an image and its SIF, and one run in it, for all of them.

`POCKET_CONTAINERS` may name a folder in which base, Apptainer and image layers are kept for the next time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from machine import PACKAGES, Machine
from planted import SECRETS
from roots import USER, install, remove
from running import REPOSITORY, copy_clone


@pytest.fixture(scope="session")
def folder():
    """A folder that everybody can read; removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="pocketnet-containers-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def clone(folder) -> Path:
    """A copy of the clone with Nextflow and without the Python libraries: these must come from the image."""
    clone = copy_clone(folder / "clone")
    (clone / ".venv").unlink()
    return clone


@pytest.fixture(scope="session")
def machine(clone):
    """Image, SIF and a root folder with Apptainer."""
    if os.geteuid() != 0:
        pytest.fail("The tests in containers need root: to make root folders and to mount them.")
    install(PACKAGES)
    kept = os.environ.get("POCKET_CONTAINERS")
    place = Path(kept or tempfile.mkdtemp(prefix="pocketnet-machine-")).resolve()
    place.mkdir(exist_ok=True)
    try:
        yield Machine(place, clone)
    finally:
        if not kept:
            remove(place)


class Runs:
    """Runs of the pipeline in the machine, as its ordinary user, without network."""

    def __init__(self, machine: Machine, folder: Path):
        self.machine, self.folder = machine, folder

    def run(self, name: str, clone: Path, *options: str):
        """Run the pipeline of a clone in a folder `name` of its own; the finished process, output in `stdout`."""
        place = self.folder / name
        place.mkdir()
        owner = (self.machine.root / "home" / USER).stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        return self.machine.enter(
            USER, clone / "bin/nextflow", "run", clone / "main.nf", "-ansi-log", "false", "-profile", "test,apptainer",
            "--fold", "0", *options, offline=True, cwd=place, env=SECRETS,
            folders=(self.folder, (REPOSITORY / ".tools").resolve()))


@pytest.fixture(scope="session")
def runs(machine, folder) -> Runs:
    return Runs(machine, folder)


@pytest.fixture(scope="session")
def finished(runs, clone) -> Path:
    """The folder of a whole run with -profile test,apptainer; its output is in the file `log`."""
    done = runs.run("run", clone)
    assert done.returncode == 0, done.stdout
    (runs.folder / "run/log").write_text(done.stdout)
    return runs.folder / "run"
