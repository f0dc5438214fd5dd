"""Every command answers `--help` in under half a second: heavy libraries are imported late."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pocketnet.cli
import pytest

COMMANDS = sorted(path.stem for path in Path(pocketnet.cli.__file__).parent.glob("*.py")
                  if path.stem not in ("__init__", "common"))


def processor_seconds() -> float:
    """What the ended child processes have taken: other work on the machine does not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_at_once(command):
    before = processor_seconds()
    done = subprocess.run([sys.executable, "-m", f"pocketnet.cli.{command}", "--help"], capture_output=True, text=True)
    seconds = processor_seconds() - before
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: pocket-{command}") or f"pocketnet.cli.{command}" in done.stdout
    assert "Examples:" in done.stdout and "Exit codes:" in done.stdout
    assert seconds < 0.5, f"{seconds:.2f} s"
