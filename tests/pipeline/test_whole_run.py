"""The real pipeline on tiny made data: what it publishes, what -resume repeats, and what a kill costs."""

import contextlib
import csv
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import offline
import psutil
import pytest
from planted import EXTENSION, HEADER, SECRETS, USER, found
from running import HOSTILE, LIMIT_SECONDS, Pipeline

pytestmark = pytest.mark.slow
OTHERS = {"report.html": "theirs", "thesis/models/best.keras": "theirs too", "demo/notes.txt": "read me"}
"""Files of other people in the output folder, by name."""


def tiny(data):
    """Options of all runs here that train: enough steps to be killed among, on images with planted words."""
    return ("-profile", "test", "--input", str(data), "--steps_per_epoch", "20")


@pytest.fixture(scope="module")
def finished(edited_clone, made_data, tmp_path_factory):
    """A whole run with -profile test; the tests that use it run it again with -resume.

    Its folder has a hostile name, its output folder has files of others, its environment a tracking server's
    credentials and a user's name, and it has no network. With `$POCKET_KEEP_RUN` it stays in a folder of that path, for
    tests/browser; the file `log` there says that it is whole.
    """
    kept = os.environ.get("POCKET_KEEP_RUN")
    folder = Path(kept) if kept and not os.path.exists(kept) else tmp_path_factory.mktemp("run")
    pipeline = Pipeline(edited_clone, folder / HOSTILE, tiny(made_data),
                        before=tuple(offline.command(folder / "tried")))
    for name, text in OTHERS.items():
        (pipeline.folder / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (pipeline.folder / "results" / name).write_text(text)
    done = pipeline.run(**SECRETS, **USER)
    assert done.returncode == 0, done.stdout
    (folder / "log").write_text(done.stdout)
    return pipeline


def repeated(statuses):
    """The processes that ran again; VERSIONS, which asks for the code's checksums, always does."""
    assert statuses.pop(next(name for name in statuses if name.startswith("VERSIONS"))) == "COMPLETED"
    return {name.split(" ")[0] for name, status in statuses.items() if status != "CACHED"}


def test_everything_is_published_and_said(finished):
    results = finished.folder / "results/demo"
    names = ["report.html", "dataset/manifest.json", "dataset/fingerprint.json", "plan/plan.json",
             "plan/splits.json", "plan/predicted.json", "comparison/comparison.json", "comparison/comparison.csv",
             "comparison/comparison.md", "comparison/metrics.csv", "../mlflow/mlflow.db"]
    splits = json.loads((results / "plan/splits.json").read_text())
    for network in ("unet-pocket", "unet-full"):
        names.append(f"profile/{network}.json")
        for split in splits["folds"]:
            part = f"{network}/fold{split['fold']}"
            names += [f"models/{part}/{name}" for name in
                      ("model.keras", "last.keras", "model.xml", "model.bin", "plan.json", "labels.json",
                       "history.csv", "provenance.json", "checksums.json", "calibration.json",
                        "temperatures.json")]
            names += [f"evaluation/{part}/{name}" for name in ("metrics.csv", "features.csv", "overlays.json")]
            published = {path.name for path in (results / "predictions" / part).iterdir()}
            assert published == {f"{case}.nii.gz" for case in split["test"]}
    assert not [name for name in names if not (results / name).is_file()]
    info = {path.name.split("_2")[0] for path in (results / "pipeline_info").iterdir()}
    assert {"report", "timeline", "trace", "dag", "params", "software_versions"} <= info
    log = (finished.folder.parent / "log").read_text()
    assert f"{results}/report.html" in log
    opening = shlex.split(log.partition("to open it: ")[2].splitlines()[0])
    assert opening[1:] == ["-m", "pocketnet.tracking.ui", f"{finished.folder}/results/mlflow/mlflow.db"]
    assert "could not be tracked" not in log
    (verdict,) = json.loads((results / "comparison/comparison.json").read_text())["verdicts"]
    assert f"{verdict['title']}.\nDone." in log and len(re.findall(r"Trained \d of \d: unet-", log)) == len(
        list((results / "models").glob("*/fold*")))


def test_no_name_left_its_place(finished):
    results = finished.folder / "results"
    assert {name: (results / name).read_text() for name in OTHERS} == OTHERS
    assert not list(finished.folder.rglob("PWNED*"))
    assert {path.name for path in finished.folder.parent.iterdir()} - {"tried"} == {HOSTILE, "log"}
    assert {path.name for path in results.iterdir()} == {"report.html", "thesis", "demo", "mlflow"}


def test_nothing_reaches_for_the_network(finished, tmp_path):
    if not finished.before:
        pytest.skip("no network namespaces are permitted here")
    assert set((finished.folder.parent / "tried").read_text().split()) == {"0"}
    try_one = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    done = subprocess.run([*offline.command(tmp_path / "tried"), sys.executable, "-c", try_one], capture_output=True)
    assert done.returncode == 1 and b"unreachable" in done.stderr and (tmp_path / "tried").read_text() == "1\n"


def test_requests_come_from_the_measured_profile(finished):
    results = finished.folder / "results/demo"
    with open(next(results.glob("pipeline_info/trace_*.txt")), newline="") as handle:
        rows = [row for row in csv.DictReader(handle, delimiter="\t") if ":TRAIN (" in row["name"]]
    for network in ("unet-pocket", "unet-full"):
        measured = json.loads((results / f"profile/{network}.json").read_text())["configurations"][0]["measured"]
        asked = {(row["memory"], row["time"]) for row in rows if network in row["name"]}
        assert asked == {(f"{math.ceil(1.3 * measured['host_memory_mib'] / 1024 + 1)} GB", "1h")}
    assert "Time per step" in (results / "report.html").read_text()


def test_no_secret_comes_out_of_the_environment(finished):
    assert found(SECRETS.values(), finished.folder) == []


def test_nothing_published_holds_the_users_name(finished):
    assert found(USER.values(), finished.folder / "results") == []


def test_the_free_text_of_image_headers_goes_nowhere(finished, made_data):
    assert len(found([*HEADER.values(), EXTENSION], made_data)) == 5 * 12  # the search finds what is there
    assert found([*HEADER.values(), EXTENSION], finished.folder) == []


def test_a_change_of_the_reports_code_repeats_only_what_reads_it(finished):
    with open(finished.clone / "python/pocketnet/report/page.py", "a") as handle:
        handle.write("\nEDITED = True\n")
    assert repeated(finished.finish("-resume")) == {"REPORT", "COLLECT"}


def test_experiments_share_trainings_with_the_run_and_one_another(finished):
    """The ablation trains the width between the ends only, and ends in a table and a figure."""
    pipeline = replace(finished, options=(*finished.options, "--fold", "0", "--outdir", "tables", "-resume"), text=True,
                       before=())

    def trained(experiment):
        """What the run of an experiment said, and the status of the tasks that make and use networks."""
        done = pipeline.run("--experiment", experiment)
        assert done.returncode == 0, done.stdout
        return done.stdout, {name: status for name, status in pipeline.statuses("tables").items()
                             if name.startswith(("PREPROCESS", "TRAIN", "INFER"))}

    said, statuses = trained("ablation")
    again = {name for name, status in statuses.items() if status == "COMPLETED"}
    assert again == {"TRAIN (unet-capped32-fold0)", "INFER (unet-capped32-fold0, batch 0)"} and len(statuses) == 8
    out = pipeline.folder / "tables/demo/experiments/ablation"
    for name in ("table.md", "table.csv", "figure.svg", "figure.png", "experiment.json"):
        assert (out / name).is_file() and f"{out}/{name}" in said
    with open(out / "table.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["width"], row["stops_after_depth"]) for row in rows] == [
        ("full", "0"), ("capped32", "1"), ("pocket", "2")]
    with open(out / "comparison/comparison.csv", newline="") as handle:
        compared = {row["width"]: row for row in csv.DictReader(handle)
                    if (row["label"], row["metric"]) == ("mean", "dice")}
    assert [row["dice_mean"] for row in rows] == [compared[row["width"]]["mean"] for row in rows]
    networks = json.loads((out / "experiment.json").read_text())["networks"]
    assert {network["width"] for network in networks} == {"full", "capped32", "pocket"}
    assert (out / "models/unet-capped32/fold0/model.keras").is_file()
    assert not (pipeline.folder / "tables/demo/models").exists()

    _, statuses = trained("activations")
    assert len(statuses) == 6 and set(statuses.values()) == {"CACHED"}
    measured = json.loads((out.parent / "activations/experiment.json").read_text())
    assert len(measured["table"]) == 16 and set(measured["table"][0]) == {"rank", "U-Net full", "U-Net pocket"}


# One network and fold, with a checkpoint after each step.
KILLED_CONFIG = "process { withName: TRAIN { ext.args = '--checkpoint-seconds 0' } }\n"
KILLED_OPTIONS = ("-c", "checkpoints.config", "--width", "pocket", "--fold", "0", "--skip_profile")


def single_training(clone, folder, data):
    folder.mkdir()
    (folder / "checkpoints.config").write_text(KILLED_CONFIG)
    return Pipeline(clone, folder, (*tiny(data), *KILLED_OPTIONS))


def kill_in_training(pipeline):
    """Start a run and SIGKILL it and all its tasks once some steps of training are done."""
    process = pipeline.start("killed.log")
    deadline = time.monotonic() + LIMIT_SECONDS
    while not any(int(path.stem.split("-")[1]) >= 10
                  for path in pipeline.folder.glob("results/demo/checkpoints/*/step-*.npz")):
        assert process.poll() is None and time.monotonic() < deadline, \
            (pipeline.folder / "killed.log").read_text()
        time.sleep(0.02)
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)  # Nextflow first, so that it cannot retry
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
    assert not (pipeline.folder / "results/demo/models").exists()


def test_a_killed_run_ends_with_the_same_metrics_and_a_changed_image_repeats_its_batch(
        clone, made_data, finished, tmp_path):
    killed = single_training(clone, tmp_path / "killed", made_data)
    kill_in_training(killed)
    killed.finish("-resume")

    assert killed.metrics() == [row for row in finished.metrics() if (row["width"], row["fold"]) == ("pocket", "0")]
    attempts = killed.provenance()["attempts"]
    assert [attempt["ended"] for attempt in attempts] == ["killed", "finished"]
    assert attempts[0]["first_step"] == 1 and attempts[0]["last_step"] >= 10
    assert attempts[1]["first_step"] == attempts[0]["last_step"] + 1
    assert attempts[1]["last_step"] == killed.provenance()["steps"] == 40

    # The label of the last case: its batch is preprocessed again, the other is not.
    label = sorted((made_data / "labelsTr").glob("*.nii.gz"))[-1]
    change_a_voxel(label)
    said = stopped_at_training(killed)
    assert "Submitted process > POCKETNET:CHECK (demo)" in said
    assert "Cached process > POCKETNET:PREPROCESS (demo, batch 0)" in said
    assert "Submitted process > POCKETNET:PREPROCESS (demo, batch 1)" in said


def stopped_at_training(pipeline):
    """Resume a run and stop it when it begins to train, for which all cases must be preprocessed; what it said."""
    log, deadline = pipeline.folder / "resumed.log", time.monotonic() + LIMIT_SECONDS
    process = pipeline.start(log.name, "-resume")
    while "Submitted process > POCKETNET:TRAIN" not in (said := log.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, said
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait(LIMIT_SECONDS)
    return said


def change_a_voxel(path):
    image = nibabel.load(path)
    values = np.asarray(image.dataobj).copy()
    inside = tuple(np.argwhere(values == 1)[0])
    values[inside] = 2
    nibabel.save(nibabel.Nifti1Image(values, image.affine, image.header), path)


def test_bad_data_ends_the_run_with_every_file_named(clone, made_data, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(made_data, data)
    images = sorted((data / "imagesTr").glob("*.nii.gz"))
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes()[:1000])
    done = Pipeline(clone, tmp_path / "run", ("-profile", "test", "--input", str(data))).run()
    assert done.returncode != 0
    assert "exit status (3)" in done.stdout
    assert images[0].name in done.stdout and images[1].name in done.stdout
    assert "PLAN" not in done.stdout


def test_an_impossible_plan_is_refused_before_anything_is_preprocessed(clone, made_data, tmp_path):
    (tmp_path / "small.json").write_text(json.dumps(
        {"kind": "gpu", "memory_mib": 1500, "bandwidth_gb_s": 300, "tflops": {"float32": 8}}))
    done = Pipeline(clone, tmp_path / "run", (
        "-profile", "test", "--input", str(made_data), "--device", str(tmp_path / "small.json"), "--patch", "32,32,32",
        "--batch", "64")).run()
    assert done.returncode != 0
    assert "exit status (4)" in done.stdout and "The largest that fits: --batch" in done.stdout
    assert "small" in done.stdout and "PREPROCESS" not in done.stdout and "TRAIN" not in done.stdout
