"""MLflow's own commands as processes, for tests: started on a free port, ended with their children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def mlflow(log: Path, *arguments: str, port: int, ready: str) -> Iterator[subprocess.Popen]:
    """Run `mlflow <arguments> --host 127.0.0.1 --port <port>` until the block ends.

    Args:
        log: File for what it says.
        ready: Path of the address that answers once it is ready.
    """
    with open(log, "w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments, "--host", "127.0.0.1", "--port", str(port)], stdout=said,
            stderr=subprocess.STDOUT, start_new_session=True,
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true",
                              "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})  # it calls uvicorn
    try:
        _wait(process, f"http://127.0.0.1:{port}{ready}", log)
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """End a process and its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait(process: subprocess.Popen, url: str, log: Path, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer:\n{log.read_text()}")
