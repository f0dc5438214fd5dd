"""--help and the refusal of parameters: all at once, with the nearest valid one, before any task starts.

What is refused, one by one: `test_cast.py`.
"""

import json
import re
from pathlib import Path

import pytest
from running import REPOSITORY, Pipeline

SCHEMA = json.loads((REPOSITORY / "nextflow_schema.json").read_text())
RULES = {name: rule for group in SCHEMA["$defs"].values() for name, rule in group["properties"].items()}

NAMED = """workflow.onComplete = { println "trace: ${nextflow.Global.session.config.trace.file}" }
"""
"""Configuration by which Nextflow reads the trace's name although there is to be none, as 26.04 does."""
RECORDED = """timeline.file = new Expando(toString: { ->
    def all = nextflow.Global.session?.config?.params
    def folder = new java.io.File("${all?.results}/pipeline_info")
    if (all) {
        folder.mkdirs()
        new java.io.File(folder, "early_${all.started}.txt").text = 'a record'
    }
    "$folder/timeline_${all?.started}.html".toString()
})
"""
"""Configuration by which there is a second record when the parameters are looked at; 26.04 writes four at the end."""


@pytest.fixture
def pipeline(clone, tmp_path):
    return Pipeline(clone, tmp_path)


def test_help_lists_every_parameter_by_group(pipeline):
    (pipeline.folder / "named.config").write_text(NAMED)
    done = pipeline.run("--help", "-c", "named.config")
    assert done.returncode == 0 and "pipeline_info/trace_" in done.stdout
    for group in SCHEMA["$defs"].values():
        assert f"\n{group['title']}\n" in done.stdout
    for name, rule in RULES.items():
        assert rule.get("hidden") or f"--{name} " in done.stdout
        assert rule.get("hidden") or rule["description"] in done.stdout
    assert "Default: pocket,full." in done.stdout and "one of: demo, hippocampus, brats" in done.stdout
    assert not (pipeline.folder / "results").exists()


def test_defaults_in_the_config_are_those_of_the_schema(pipeline):
    config = pipeline.clone / "nextflow.config"
    block = config.read_text().split("params {")[1].split("\n}")[0]
    lines = [line.split("=", 1) for line in block.splitlines() if "=" in line]
    values = {name.strip(): value.strip().strip("'") for name, value in lines}
    assert values.keys() == RULES.keys()
    for name, rule in RULES.items():
        if not rule.get("hidden"):
            assert values[name] == str(rule.get("default", "null")), name


def test_every_problem_is_named_at_once_with_the_nearest_valid_choice(pipeline):
    (pipeline.folder / "recorded.config").write_text(RECORDED)
    done = pipeline.run("-c", "recorded.config", "--datset", "demo", "--max-cpus", "2", "--recipe", "quik", "--width",
                        "pocket,ful", "--experiment", "ablatoin", "--patch", "32,x,32", "--folds", "1", "--batch",
                        "--mlflow_uri", "https://me:s3cret@tracking.example.org/ml", "left", "over")
    assert done.returncode != 0
    assert not (pipeline.folder / "results").exists() and "s3cret" not in done.stdout
    for words in ("--datset is not a parameter. Did you mean --dataset?", "Did you mean --max_cpus?",
                  "--dataset is needed", "'quik' is not valid. Did you mean quick?", "Did you mean ablation?",
                  "'ful' is not valid. Did you mean full?", "expected a whole number, not 'x'",
                  "--folds 1: expected 2 or more", "--batch: a value is missing",
                  "MLFLOW_TRACKING_PASSWORD",
                  "'left', 'over' on the command line belong to no parameter. A list has no spaces (--width pocket,"):
        assert words in done.stdout
    assert "Submitted process" not in done.stdout and "Exception" not in done.stdout


def test_input_defaults_to_the_datasets_folder_in_pocket_data(pipeline):
    done = pipeline.run("--dataset", "hippocampus", POCKET_DATA=str(pipeline.folder))
    assert f"there is no folder {pipeline.folder}/hippocampus (from POCKET_DATA, {pipeline.folder})" in done.stdout
    assert "give --input" in done.stdout and "or set POCKET_DATA" in done.stdout


def test_image_sbatch_and_output_folder_are_looked_for_before_any_task(pipeline, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in ("/bin", "/usr/bin"):
        for path in Path(folder).iterdir():
            if path.name != "sbatch" and not (programs / path.name).exists():
                (programs / path.name).symlink_to(path)
    done = pipeline.run("-profile", "test,slurm,apptainer", "--container", "no.sif", "--outdir", "/proc/nothing",
                        "--nodes", "2", PATH=str(programs))
    assert done.returncode != 0
    for words in ("there is no container image no.sif", "there is no sbatch on PATH",
                  "--nodes 2: a task in a container (-profile apptainer) cannot start processes on other nodes",
                  "nothing can be written to /proc/nothing (it cannot be made)"):
        assert words in done.stdout
    assert "Submitted process" not in done.stdout


def test_the_version_stands_once():
    text = (REPOSITORY / "nextflow.config").read_text()
    (version,) = re.findall(r"^ *version *= *'(.*)'", text, re.MULTILINE)  # as containers/build reads it
    assert RULES["version"]["default"] == version
    assert f'version = "{version}"' in (REPOSITORY / "python/pyproject.toml").read_text()
