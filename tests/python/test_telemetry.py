"""Nothing phones home: every command runs once, and no process of it tries to reach the network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import every_command
import pytest
from pocketnet import telemetry
from pocketnet.code import steps

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
STRACE = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg"]
CACHES = ("matplotlib", ".keras", "mesa")
"""Caches of libraries in a user's home, with nothing in them that says who somebody is."""


def traced(log: Path, *command: object, **options) -> subprocess.CompletedProcess:
    """Run a command and all of its processes under strace, where there is one."""
    strace = [*STRACE, "-o", log] if shutil.which("strace") else []
    return subprocess.run([*map(str, strace), *map(str, command)], capture_output=True, text=True, **options)


def tries(log: Path) -> list[str]:
    """What reached for the network: local sockets aside."""
    return [line for line in log.read_text().splitlines() if re.search(r"AF_INET6?\b", line)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Every command, run once by a user with an empty home and none of the variables that turn telemetry off."""
    folder = tmp_path_factory.mktemp("every")
    home = folder / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items()
                   if key not in telemetry.OFF and not key.startswith("XDG_") and key not in ("CI", "TF_BUILD")}
    done = traced(folder / "strace.log", sys.executable, HERE / "every_command.py", folder, cwd=REPOSITORY, env={
        **environment, "HOME": str(home), "PYTHONPATH": str(REPOSITORY / "python")})
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_every_command_is_run():
    assert {line.split()[0] for line in every_command.COMMANDS.strip().splitlines()} == {*steps(), "code"}


def test_python_reaches_for_nothing(ran):
    assert (ran / "report.html").is_file()
    assert (ran / "tries.txt").read_text() == ""


def test_no_process_reaches_for_anything(ran):
    """Native code, too: ONNX Runtime reports from a thread of its own."""
    if not (ran / "strace.log").is_file():
        pytest.skip("there is no strace here")
    assert tries(ran / "strace.log") == []


def test_nothing_is_kept_in_the_users_home(ran):
    home = ran / "home"
    kept = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    assert [name for name in kept if not any(cache in name for cache in CACHES)] == []


def test_a_try_would_be_seen(tmp_path):
    """Addresses of documentation and names that cannot exist, so that nobody is reached."""
    if not shutil.which("strace"):
        pytest.skip("there is no strace here")
    for number, attempt in enumerate(("socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))",
                                      "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))")):
        traced(tmp_path / str(number), sys.executable, "-c", f"import socket; {attempt}")
        assert len(tries(tmp_path / str(number))) == 1


def test_the_package_turns_telemetry_off_before_anything_else():
    """Whatever is set outside; and what is started from there has it off as well."""
    program = ("import pocketnet, os, subprocess, sys\n"
               "assert 'mlflow' not in sys.modules and 'numpy' not in sys.modules\n"
               "try:\n    import openvino_telemetry\n"
               "except ImportError:\n    pass\nelse:\n    sys.exit('it is there')\n"
               "print({name: os.environ[name] for name in pocketnet.telemetry.OFF} == pocketnet.telemetry.OFF)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY / "python",
                          env={**os.environ, "DO_NOT_TRACK": "false", "MLFLOW_DISABLE_TELEMETRY": "false"})
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("file", ["containers/Dockerfile", "nextflow.config", "Makefile"])
def test_image_tasks_and_make_have_the_same_variables(file):
    text = (REPOSITORY / file).read_text()
    found = {name: value for name, value in re.findall(r"\b([A-Z_]+)\s*:?=\s*'?(\w+)'?", text) if name in telemetry.OFF}
    assert found == telemetry.OFF
