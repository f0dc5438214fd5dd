"""A user's first command on a cluster and a site's configuration, each as docs/slurm.md has it."""

import json
import os
import subprocess

import nibabel
import numpy as np
import pytest
from faults import LIMIT_SECONDS, ClusterRun
from running import REPOSITORY, clean_environment, copy_clone

PAGE = (REPOSITORY / "docs/slurm.md").read_text()
COMMAND = "nextflow run main.nf -profile slurm --dataset brats"
SITE = PAGE.split("```groovy\n")[1].split("```")[0]
HERE = {"'a100'": "'t4'", "'15 sec'": "'1 sec'", "'1 min'": "'5 sec'"}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """A folder with tiny made images as brats/."""
    folder, chance = tmp_path_factory.mktemp("datasets"), np.random.default_rng(1)
    for number in range(1, 6):
        case = folder / f"brats/BraTS20_Training_{number:03d}"
        case.mkdir(parents=True)
        label = np.zeros((16, 16, 16), np.uint8)
        label[4:10, 4:10, 4:10] = 1
        for name in ("t1", "t1ce", "t2", "flair"):
            image = (chance.normal(100, 5, label.shape) + 50 * label).astype(np.float32)
            nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), case / f"{case.name}_{name}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(label, np.eye(4)), case / f"{case.name}_seg.nii.gz")
    return folder


@pytest.fixture(scope="module")
def short_clone(tmp_path_factory):
    """A clone whose recipe takes two steps and whose default is one fold: the command has no place to say so."""
    clone = copy_clone(tmp_path_factory.mktemp("short"))
    recipes = json.loads((clone / "conf/recipes.json").read_text())
    recipes["quick"]["training"] |= {"epochs": 1, "steps_per_epoch": 2}
    (clone / "conf/recipes.json").write_text(json.dumps(recipes))
    config, default = (clone / "nextflow.config").read_text(), "    fold            = null\n"
    assert config.count(default) == 1
    (clone / "nextflow.config").write_text(config.replace(default, default.replace("null", "'0'")))
    return clone


def test_the_first_command_runs(slurm, datasets, short_clone):
    assert f"\n{COMMAND}\n" in PAGE and PAGE.index(COMMAND) < PAGE.index("bin/nextflow")
    environment = clean_environment(slurm.environment | {
        "POCKET_DATA": str(datasets), "PATH": f"{short_clone}/bin:{os.environ['PATH']}"})
    done = subprocess.run(COMMAND.split(), cwd=short_clone, env=environment, text=True, timeout=LIMIT_SECONDS,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert f"{short_clone}/results/brats/report.html" in done.stdout
    assert (short_clone / "results/brats/report.html").is_file()
    jobs = ClusterRun(short_clone, short_clone, (), slurm=slurm).finished_jobs()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"} and {job["Partition"] for job in jobs} == {"cpu"}
    cpus = {job["step"]: job["Tres"].split("cpu=")[1].split(",")[0] for job in jobs}
    assert (cpus["TRAIN"], cpus["PROFILE"], cpus["INFER"], cpus["PLAN"]) == ("8", "8", "8", "1")


def test_jobs_ask_for_what_the_documented_site_configuration_says(slurm, clone, datasets, tmp_path):
    site = SITE.replace("/scratch/me/work", str(tmp_path / "work")).replace("/data/results", str(tmp_path / "site"))
    for there, here in HERE.items():
        assert there in site
        site = site.replace(there, here)
    (tmp_path / "site.config").write_text(site)
    run = ClusterRun(clone, tmp_path, ("-profile", "slurm", "-c", "site.config", "-stub-run"), text=True, slurm=slurm)
    head = run.start("log", **slurm.environment, POCKET_DATA=str(datasets))
    said = run.ended(head, "log")
    assert head.returncode == 0, said
    assert (tmp_path / "site/brats/report.html").is_file() and not (tmp_path / "results").exists()
    jobs = run.finished_jobs()
    asked = {job["step"]: job for job in jobs}
    for step in ("TRAIN", "PROFILE", "INFER"):
        assert (asked[step]["Gres"], asked[step]["Partition"], asked[step]["TimeLimit"]) == ("gpu:t4:1", "gpu", "2880")
    for step, minutes in (("PLAN", "60"), ("CALIBRATE", "240")):
        assert (asked[step]["Gres"], asked[step]["Partition"], asked[step]["TimeLimit"]) == ("(null)", "cpu", minutes)
    assert {job["Account"] for job in jobs} == {"imaging"}
