"""The wiring, without computing: parameters as text and as numbers, a site's configuration, experiments, containers."""

import csv
import json
import re
import signal
import subprocess
import time

from running import LIMIT_SECONDS, REPOSITORY, Pipeline

EXPERIMENTS = json.loads((REPOSITORY / "conf/experiments.json").read_text())
GIVEN = {"members": "2", "cases_per_task": "3", "cases_per_check": "2", "folds": "10", "fold": "0",
         "skip_profile": "false", "rematerialise": "false", "gpus": "0", "help": "false", "width": "pocket",
         "configuration": "2d,3d"}
SITE = (REPOSITORY / "docs/slurm.md").read_text().split("```groovy\n")[1].split("```")[0]
APPTAINER = """#!/bin/bash
while [[ $1 != *.sif ]]; do shift; done
shift
exec "$@"
"""


def stub_run(clone, folder, *options, text=False, **environment):
    """A finished -stub-run, with what it said in the file `log`."""
    pipeline = Pipeline(clone, folder, ("-stub-run", *options), text)
    done = pipeline.run(**environment)
    assert done.returncode == 0, done.stdout
    (folder / "log").write_text(done.stdout)
    assert called(pipeline) == {name.split()[0] for name in re.findall(r"Submitted process > (.*)", done.stdout)}
    return pipeline


def called(pipeline):
    """The processes that have a row in the progress on screen: a run calls none that it does not need."""
    return set(re.findall(r"Starting process > (\S+)", (pipeline.folder / ".nextflow.log").read_text()))


def trace(folder):
    """The rows of the only record in a run's own folder."""
    (path,) = folder.glob("pipeline_info/trace_*.txt")
    return read(path)


def read(path):
    """The rows of a trace."""
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def commands(pipeline, name):
    """The files `name` in the tasks' work directories, by step."""
    files = {}
    for path in pipeline.folder.glob(f"work/*/*/{name}"):
        step = re.search(r"name: '(?:\w+:)*(\w+)", (path.parent / ".command.run").read_text())[1]
        files.setdefault(step, []).append(path.read_text())
    return files


def test_text_numbers_and_a_file_of_lists_ask_for_the_same(clone, tmp_path):
    """Started together, into one output folder: the second is warned, and their records are not one another's."""
    lists = ("fold", "width", "configuration")
    listed = {name: value.split(",") if name in lists else value for name, value in GIVEN.items()}
    (tmp_path / "given.json").write_text(json.dumps(listed))
    line = [word for name, value in GIVEN.items() for word in (f"--{name}", value)]
    runs = {name: Pipeline(clone, tmp_path / name, ("-stub-run", "-profile", "test", "--outdir", "../both"), text)
            for name, text in (("numbers", False), ("text", True))}
    started = [runs["numbers"].start("log", *line), runs["text"].start("log", "-params-file", "../given.json")]
    for process in started:
        process.wait(LIMIT_SECONDS)
    said = [(run.folder / "log").read_text() for run in runs.values()]
    assert [process.returncode for process in started] == [0, 0], said
    assert sum("Warning: Another run or command writes to" in one for one in said) == 1, said
    tasks = [sorted(re.findall(r"Submitted process > (.*)", one)) for one in said]
    assert tasks[0] == tasks[1] and len([name for name in tasks[0] if ":TRAIN" in name]) == 4
    assert {"POCKETNET:READ (batch 1)", "POCKETNET:PROFILE (unet-pocket-2d)", "POCKETNET:PREPROCESS (demo, batch 1)",
            "POCKETNET:INFER (unet-pocket-2d-fold0, batch 2)", "POCKETNET:EVALUATE (unet-pocket-3d-fold0, part 1)",
            "POCKETNET:JOIN (unet-pocket-3d-fold0)", "POCKETNET:CALIBRATE (unet-pocket-2d)"} < set(tasks[0])
    records = tmp_path / "both/demo/pipeline_info"
    assert {kind: len(list(records.glob(f"{kind}_*"))) for kind in ("trace", "params", "report")} == {
        "trace": 2, "params": 2, "report": 2}
    for path in records.glob("trace_*"):  # time by each network's own plan: 1 step in 3D, 9,000 in 2D, of a second each
        rows = [row for row in read(path) if ":TRAIN" in row["name"]]
        assert {(name, row["time"]) for row in rows for name in re.findall(r"-([23]d)-", row["name"])} == {
            ("3d", "1h"), ("2d", "8h")}
    first, second = [json.loads(path.read_text()) for path in records.glob("params_*")]
    assert first.pop("started") != second.pop("started") and first == second and first["rematerialise"] is False


def is_wired(run, experiment, step, results):
    """An experiment's own step has run, and its table and figure were published."""
    assert experiment in EXPERIMENTS
    assert {step, "EXPERIMENT"} <= commands(run, ".command.sh").keys()
    assert (results / f"experiments/{experiment}/table.md").is_file()


def test_the_documented_site_configuration_holds(clone, tmp_path):
    """In an experiment, which has all steps of a plain run but CALIBRATE."""
    (tmp_path / "site.config").write_text(SITE.replace("/scratch/me/work", str(tmp_path / "work")).replace(
        "/data/results", str(tmp_path / "site")).replace("'brats'", "'demo'"))
    run = stub_run(clone, tmp_path, "-c", "site.config", "--recipe", "quick", "--fold", "0", "--experiment",
                   "saturation", text=True)
    is_wired(run, "saturation", "TRAIN", tmp_path / "site/demo")
    for row in trace(tmp_path / "site/demo"):
        amount, unit = row["memory"].split()
        assert int(row["cpus"]) <= 16 and float(amount) <= 180 and unit in ("GB", "MB") and row["status"] == "COMPLETED"
    said = json.loads(next((tmp_path / "site/demo").glob("pipeline_info/params_*")).read_text())
    assert (said["gpus"], said["max_cpus"], said["max_memory"], said["slurm_array"]) == (1, 16, "180.GB", 100)
    assert not (tmp_path / "results").exists()
    assert all("site%2Fdemo%2Fcheckpoints" in text for text in commands(run, ".command.run")["TRAIN"])


def test_an_experiment_that_trains_nothing_is_wired(clone, tmp_path):
    """Two tests here are of others, and `test_whole_run.py` runs two more."""
    run = stub_run(clone, tmp_path, "-profile", "test", "--experiment", "throughput", "--fold", "0")
    is_wired(run, "throughput", "MEASURE", tmp_path / "results/demo")
    assert "TRAIN" not in commands(run, ".command.sh")


def test_only_tasks_that_ask_for_a_gpu_see_one_and_all_see_their_folders(clone, tmp_path):
    """With a stand-in for Apptainer, which runs the tasks here: a GPU in a container is not to be had in a test.

    In the experiment that has most steps; of a plain run's, it lacks CALIBRATE.
    """
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "apptainer").write_text(APPTAINER)
    (programs / "apptainer").chmod(0o755)
    (tmp_path / "image.sif").touch()
    name, store = "O'Brien's scans", "where $else"
    run = stub_run(clone, tmp_path, "-profile", "test,apptainer", "--gpus", "1", "--container", f"{tmp_path}/image.sif",
                   "--fold", "0", "--experiment", "pruning", "--outdir", name, "--mlflow_uri",
                   f"sqlite:///{tmp_path}/{store}/runs.db", text=True, PATH=f"{programs}:/usr/bin:/bin")
    is_wired(run, "pruning", "TUNE", tmp_path / name / "demo")
    launched = commands(run, ".command.run")
    for step, texts in launched.items():
        for text in texts:
            (line,) = [line for line in text.splitlines() if "apptainer exec" in line]
            assert ("--nv" in line) == (step in ("PROFILE", "TRAIN", "PRUNE", "TUNE", "INFER")), step
            quoted = str(tmp_path / name).replace("'", "'\\''")
            assert f"--bind '{quoted}' --bind '{tmp_path}/{store}'" in line
    assert (tmp_path / store).is_dir()


def test_inspect_prints_json_and_nothing_else(clone, tmp_path):
    command = [clone / "bin/nextflow", "inspect", clone / "main.nf", "-profile", "test,docker"]
    done = subprocess.run(command, cwd=tmp_path, env=Pipeline(clone, tmp_path).environment({}), text=True,
                          capture_output=True, check=True)
    containers = {process["container"] for process in json.loads(done.stdout)["processes"]}
    version = re.search(r" version *= *'(.*)'", (clone / "nextflow.config").read_text())[1]
    assert containers == {f"pocketnet-suite:{version}"}


def test_singularity_is_configured_as_apptainer():
    one, other = ((REPOSITORY / f"conf/{name}.config").read_text().partition("\n")[2] for name in (
        "apptainer", "singularity"))
    assert one.replace("\napptainer {", "\nsingularity {") == other


def test_ctrl_c_is_said_as_such(clone, tmp_path):
    process = Pipeline(clone, tmp_path).start("log", "-profile", "test")
    deadline = time.monotonic() + LIMIT_SECONDS
    while "Submitted process > " not in (said := (tmp_path / "log").read_text()):
        assert process.poll() is None and time.monotonic() < deadline, said
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait(LIMIT_SECONDS)
    assert process.returncode != 0
    assert "Stopped from outside (Ctrl-C)" in (tmp_path / "log").read_text()
