"""What ends a run, with an error that says what to do; and that -resume brings it to the same end."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import time
import urllib.request

import psutil
import pytest
from faults import FOLDS, STEPS, until
from running import clean_environment
from slurm import free_ports


def test_a_users_scancel_ends_the_run(ending):
    said, code, step = ending.result()["cancelled"]
    assert code != 0 and step >= 10
    assert "exit status (143)" in said and "A job was cancelled" in said and "start again with -resume" in said
    assert "Execution is retried" not in said


def test_a_job_of_a_killed_head_goes_on_and_the_next_one_waits_for_it(ending):
    seen = ending.result()
    assert len(seen["jobs"]) == 2
    attempts = seen["run"].provenance()["attempts"]
    assert [attempt["ended"] for attempt in attempts] == ["stopped", "finished"]
    assert attempts[1]["first_step"] == attempts[0]["last_step"] + 1 == seen["cancelled"][2] + 1
    assert attempts[1]["last_step"] == STEPS


def test_a_full_disk_ends_the_run(ending):
    said, code = ending.result()["full"]
    assert code != 0
    assert "No space left on device" in said and "Make room there" in said and "-resume" in said


def test_the_run_comes_to_the_same_end(ending, undisturbed):
    seen = ending.result()
    said, code = seen["log"]
    assert code == 0, said
    expected = [row for row in undisturbed.result().metrics() if row["fold"] == "0"]
    assert expected and seen["run"].metrics() == expected


def test_a_dead_tracking_server_costs_a_warning(undisturbed):
    run = undisturbed.result()
    assert "Warning: The runs could not be tracked at http://127.0.0.1:9" in run.said("log")
    assert "run pocket-collect again" in run.said("log")


@pytest.fixture
def server(tmp_path):
    """Starts an MLflow server, always at the same port and with the same store; ended with the test."""
    port, started = free_ports(1)[0], []

    def start(clone):
        with open(tmp_path / "server.log", "a") as log:
            process = subprocess.Popen(
                [clone / ".venv/bin/mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                 "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination",
                 tmp_path / "artifacts"], stdout=log, stderr=log, env=clean_environment({}))
        started.append(process)

        def answers():
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60).status == 200
        until(answers, "the MLflow server")
        return process
    yield f"http://127.0.0.1:{port}", start, tmp_path / "server.db"
    for process in started:
        end(process)


def end(process, number=signal.SIGKILL):
    """End a server and the workers that it has started, unless it has ended: its number may be another's by now."""
    if process.poll() is not None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)
        psutil.wait_procs(family, 20)
    process.wait()


def tracked(database):
    """The keys of the runs in a server's store."""
    with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(f"file:{database}?mode=ro", uri=True) as store:
        return [key for key, in store.execute("select value from tags where key = 'pocketnet.run_key'")]
    return []


def test_a_server_that_dies_midway_gets_the_rest_later(undisturbed, server):
    run = undisturbed.result()
    uri, start, database = server
    results = run.folder / "results/demo"
    folders = [part for fold in range(FOLDS) for part in (
        "--models", results / f"models/unet-pocket/fold{fold}",
        "--evaluations", results / f"evaluation/unet-pocket/fold{fold}")]
    collect = [run.clone / "bin/pocket-collect", "--json", "--mlflow-uri", uri, "--comparison", results / "comparison",
               "--report", results / "report.html", *folders]
    first = start(run.clone)
    collecting = subprocess.Popen(collect, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  env=clean_environment({}))
    while len(tracked(database)) < 2:  # the network's run and its first fold's
        assert collecting.poll() is None, collecting.communicate()
        time.sleep(0.05)
    end(first)
    out, warning = collecting.communicate()
    assert collecting.returncode == 0 and json.loads(out)["tracked"] is False
    assert "could not be tracked" in warning and "run pocket-collect again" in warning
    assert len(tracked(database)) < 5

    start(run.clone)
    done = subprocess.run(collect, capture_output=True, text=True, env=clean_environment({}))
    answer = json.loads(done.stdout)
    assert answer["tracked"] and answer["new"] + answer["known"] == 5 and answer["known"] >= 2, done.stderr
    keys = tracked(database)
    assert len(keys) == len(set(keys)) == 5
