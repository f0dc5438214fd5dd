"""Fixtures of the browser tests: a real run, its page, its MLflow UI, and Chromium.

Run by `make test-browser` in an environment of their own (requirements.lock); the package's commands are called as
processes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """The output folder of a real run with dataset `demo`: `$POCKET_RESULTS`, or a run of -profile test.

    That run is the one that tests/pipeline has left at `$POCKET_KEEP_RUN`, or is made here.
    """
    if given := os.environ.get("POCKET_RESULTS"):
        return Path(given)
    if (kept := os.environ.get("POCKET_KEEP_RUN")) and Path(kept, "log").is_file():
        return next(Path(kept).glob("*/results"))
    folder = tmp_path_factory.mktemp("run")
    subprocess.run([ROOT / "bin/nextflow", "-log", folder / "nextflow.log", "run", ROOT / "main.nf", "-profile", "test",
                    "--outdir", folder / "results", "-work-dir", folder / "work", "-ansi-log", "false"], check=True,
                   cwd=folder)
    return folder / "results"


@pytest.fixture(scope="session")
def page_file(results, tmp_path_factory) -> Path:
    """The report of that run, written by the code as it is now."""
    demo = results / "demo"
    output = tmp_path_factory.mktemp("page") / "report.html"
    profiles = [part for path in sorted(demo.glob("profile/*.json")) for part in ("--profiles", path)]
    subprocess.run([ROOT / "bin/pocket-report", "--quiet", "--comparison", demo / "comparison", "--models",
                    demo / "models", "--evaluations", demo / "evaluation", *profiles, "-o", output], check=True)
    return output


MANY = """
import sys
from pathlib import Path
from fake_run import metrics, write_evaluation
for width in ("full", "pocket", "capped64"):
    write_evaluation(Path(sys.argv[1]) / width, metrics(width, 0, cases=31))
"""


@pytest.fixture(scope="session")
def many_file(tmp_path_factory) -> Path:
    """The report of three networks on 31 made-up cases: it has a matrix, and a table of cases that can be searched."""
    folder = tmp_path_factory.mktemp("many")
    subprocess.run([ROOT / ".venv/bin/python", "-c", MANY, folder / "evaluation"], check=True,
                   env=os.environ | {"PYTHONPATH": f"{ROOT}/python:{ROOT}/tests/python"})
    subprocess.run([ROOT / "bin/pocket-report", "--quiet", "--evaluations", folder / "evaluation", "-o",
                    folder / "report.html"], check=True)
    return folder / "report.html"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: `$CHROMIUM`, or the one on PATH."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert path, "There is no chromium on PATH; apt-get install chromium, or set CHROMIUM."
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are left to be looked at: `$POCKET_SCREENSHOTS`, or .tools/screenshots."""
    folder = Path(os.environ.get("POCKET_SCREENSHOTS") or ROOT / ".tools/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def ui(results, tmp_path_factory) -> Iterator[str]:
    """Address of the MLflow UI on a copy of that run's store, started by `make ui`.

    It is one process, names the page of the comparison, and ends without an error on Ctrl+C.
    """
    outdir = tmp_path_factory.mktemp("ui")
    shutil.copytree(results / "mlflow", outdir / "mlflow")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with open(outdir / "log", "w") as log:
        process = subprocess.Popen(["make", "-C", ROOT, "-o", ".venv/.ready", "ui", f"OUTDIR={outdir}",
                                    f"UI_PORT={port}"], stdout=log, stderr=log, start_new_session=True)
    try:
        yield _answering(f"http://127.0.0.1:{port}", process, outdir / "log")
        alive = subprocess.check_output(["ps", "-o", "comm=", "-g", str(process.pid)], text=True)
        assert len(alive.split()) == 2, "besides make, one process"
        os.killpg(process.pid, signal.SIGINT)  # Ctrl+C
        process.wait(120)
        said = (outdir / "log").read_text()
        assert f"http://127.0.0.1:{port}/#/experiments/" in said and "Traceback" not in said, said
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answering(address: str, process: subprocess.Popen, log: Path, seconds: float = 600) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=60):
                return address
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{address} does not answer:\n{log.read_text()}")
