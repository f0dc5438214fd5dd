"""What starts things: bin/pocket-*, bin/nextflow's choice, and what make says when something is missing."""

import os
import resource
import shutil
import subprocess
import sys

import pytest
from running import REPOSITORY

STEPS = sorted(path.name for path in (REPOSITORY / "bin").glob("pocket-*"))
PS = REPOSITORY / "conf/nextflow/fallback/ps"


@pytest.mark.parametrize("name", STEPS)
def test_help_is_quick(name):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([REPOSITORY / "bin" / name, "--help"], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.startswith(f"Usage: {name} ")
    # Processor time, so that a busy machine does not fail the test.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_a_python_without_the_package_is_told_what_to_run(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nexec python3 -S -E "$@"\n')  # no site-packages
    python.chmod(0o755)
    env = os.environ | {"POCKET_PYTHON": str(python)}
    done = subprocess.run([REPOSITORY / "bin/pocket-train"], env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pocket-train: " in done.stderr and "make setup" in done.stderr


def launcher(folder, version):
    """A stand-in for a user's own Nextflow, with the line by which its version is known."""
    folder.mkdir()
    path = folder / "nextflow"
    path.write_text(f"#!/usr/bin/env bash\nNXF_VER=${{NXF_VER:-'{version}'}}\necho own $NXF_VER $*\n")
    path.chmod(0o755)
    (folder / "java").write_text("#!/bin/sh\n")
    (folder / "java").chmod(0o755)
    return folder


@pytest.mark.parametrize("version, taken", [
    ("24.10.0", True), ("25.04.6", True), ("24.04.4", False), ("23.10.1", False),
])
def test_a_users_own_nextflow_comes_first_when_recent(tmp_path, version, taken):
    own = launcher(tmp_path / "own", version)
    env = {name: value for name, value in os.environ.items() if not name.startswith("NXF_")}
    env["PATH"] = f"{REPOSITORY / 'bin'}:{own}:/usr/bin:/bin"  # bin/ itself may be on PATH
    done = subprocess.run([REPOSITORY / "bin/nextflow", "--which"], env=env, capture_output=True, text=True)
    assert (done.stdout.strip() == str(own / "nextflow")) == taken
    if taken:
        done = subprocess.run(["nextflow", "run", "x"], env=env, capture_output=True, text=True)
        assert done.stdout.strip() == f"own {version} run x"


@pytest.mark.parametrize("given", [{}, {"NXF_HOME": "elsewhere/deep"}])
def test_two_first_runs_at_once_do_not_disturb_each_other(tmp_path, given):
    """Nextflow fails where another one makes its home at the same moment; so it is there before Nextflow starts."""
    own = launcher(tmp_path / "own", "24.10.0")
    home = tmp_path / given.get("NXF_HOME", "home/.nextflow")
    (own / "nextflow").write_text(f"#!/bin/bash\nNXF_VER=${{NXF_VER:-'24.10.0'}}\ntest -d {home} && echo there\n")
    env = {"PATH": f"{own}:/usr/bin:/bin", "HOME": str(tmp_path / "home")} | {
        name: str(tmp_path / path) for name, path in given.items()}
    (tmp_path / "home").mkdir()
    assert subprocess.run([REPOSITORY / "bin/nextflow", "--which"], env=env, capture_output=True).returncode == 0
    assert not home.exists()
    done = subprocess.run([REPOSITORY / "bin/nextflow", "run"], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "there", done.stderr


def test_the_ps_for_machines_without_one_knows_each_process_and_its_parent():
    named = 'import time; open("/proc/self/comm", "w").write(") R 1 ("); print(flush=True); time.sleep(60)'
    with subprocess.Popen([sys.executable, "-c", named], stdout=subprocess.PIPE) as child:
        try:
            child.stdout.readline()
            done = subprocess.run([PS, "-e", "-o", "pid=", "-o", "ppid="], capture_output=True, text=True, check=True)
        finally:
            child.kill()
    parents = dict(map(int, line.split()) for line in done.stdout.splitlines())
    assert parents[child.pid] == os.getpid() and parents[os.getpid()] == os.getppid()
    assert done.stderr == ""


@pytest.mark.parametrize("has_one", [True, False])
def test_tasks_get_a_ps_only_where_there_is_none(tmp_path, has_one):
    own = launcher(tmp_path / "own", "24.10.0")
    (own / "nextflow").write_text("#!/bin/bash\nNXF_VER=${NXF_VER:-'24.10.0'}\ncommand -v ps\n")
    for name in ("env", "bash", "dirname", "readlink", "head", "tr", "sed", "sort", *(["ps"] if has_one else [])):
        (own / name).symlink_to(shutil.which(name) or "/bin/true")
    done = subprocess.run([REPOSITORY / "bin/nextflow", "run"], env={"PATH": str(own)}, capture_output=True, text=True)
    assert done.stdout.strip() == str(own / "ps" if has_one else PS)


@pytest.mark.parametrize("script, words", [
    ("echo 3.9", "needs Python 3.11, 3.12 or 3.13"),
    ("exit 127", "is none"),
    ('case $2 in *version_info*) echo 3.12;; *) exit 1;; esac', "python3-venv"),
])
def test_make_says_which_python_it_needs(tmp_path, script, words):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    for name in ("Makefile", "python", "bin", "conf"):
        (tmp_path / "clone" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "clone" / name).symlink_to(REPOSITORY / name)
    done = subprocess.run(["make", "setup", f"PYTHON={python}"], cwd=tmp_path / "clone",
                          capture_output=True, text=True)
    assert done.returncode != 0
    assert words in done.stderr


def test_no_committed_file_names_a_registry():
    """Tools know their own; only the npm registry's default has to be named, because set-up does without npm."""
    hosts = "pypi[.]org|pythonhosted[.]org|repo1?[.]maven|maven[.]org|npmjs[.]org"
    done = subprocess.run(["git", "grep", "-lE", hosts, "--", ".", ":!python/pocketnet/viewer/packages.py"],
                          cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout == ""
