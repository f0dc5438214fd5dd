"""The image and the SIF made of it; the demo in it, without network, as an ordinary user."""

import csv
import json
import shutil
import subprocess

import nibabel
import numpy as np
from planted import SECRETS, found
from roots import USER
from running import copy_clone


def inside(machine, *command, user=USER, offline=False):
    """Run a command in the SIF."""
    apptainer = ("apptainer", "--quiet", "exec", "--no-home", "--cleanenv", machine.sif)
    return machine.enter(user, *apptainer, *command, offline=offline)


def test_the_image_has_labels_an_ordinary_user_and_neither_entrypoint_nor_healthcheck(machine, clone):
    image = json.loads(machine.inspect())
    config = image["OCIv1"]["config"]
    labels = config["Labels"]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True).stdout
    version = labels["org.opencontainers.image.version"]
    assert f"version         = '{version}'" in (clone / "nextflow.config").read_text()
    assert labels["org.opencontainers.image.revision"].removesuffix("-dirty") == commit.strip()
    assert config["User"] == "pocket"
    bill = json.loads((clone / f"containers/pocketnet-suite-{version}.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX" and "tensorflow" in {part["name"] for part in bill["components"]}
    assert not config.get("Entrypoint") and not image["Docker"]["config"].get("Healthcheck")


def test_the_image_holds_no_build_tools_and_nothing_of_the_build(machine):
    held = inside(machine, "bash", "-c", "command -v gcc cc g++ make git pip pytest ruff; "
                                         "cat /run/secrets/* /etc/pip.conf 2> /dev/null; "
                                         "ls /var/lib/apt/lists | grep Packages; ls -d /root/.cache 2> /dev/null; true")
    assert held.returncode == 0, held.stdout
    assert held.stdout.split() == []


def test_the_image_is_read_only_and_a_step_in_it_needs_no_network(machine, clone):
    written = inside(machine, "bash", "-c", "id -u; touch /opt/pocketnet/new")
    assert "Read-only file system" in written.stdout and written.stdout.split()[0] != "0"
    connect = "import socket; socket.create_connection(('1.1.1.1', 53), 5)"
    reached = inside(machine, "python", "-c", connect, offline=True)
    assert "Network is unreachable" in reached.stdout
    step = inside(machine, clone / "bin/pocket-models", "--json", offline=True)
    assert step.returncode == 0 and "764418" in step.stdout


def test_the_image_for_inference_is_small_and_segments_with_a_network_by_its_name(machine, folder):
    data = folder / "inference"
    data.mkdir()
    data.chmod(0o777)
    image = np.random.default_rng(1).normal(100, 10, (36, 50, 32)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), data / "scan.nii.gz")
    size, said = machine.call_inference_image(
        data, "sh", "-c", "pocket-infer --model hippocampus /data/scan.nii.gz -o /data/seg.nii.gz; "
        "id -un; command -v pip python3-config gcc nextflow; true")
    assert size < 600e6
    assert "pocket" in said.split() and "/bin/pip" not in said
    assert nibabel.load(data / "seg.nii.gz").shape == image.shape


def test_the_demo_runs_without_network_and_gives_what_it_gives_elsewhere(finished):
    results = finished / "results/demo"
    for name in ("report.html", "dataset/manifest.json", "plan/plan.json", "comparison/comparison.json",
                 "models/unet-pocket/fold0/model.xml", "models/unet-full/fold0/model.keras", "../mlflow/mlflow.db"):
        assert (results / name).is_file(), name
    with open(results / "comparison/metrics.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert {(row["width"], row["fold"]) for row in rows} == {("pocket", "0"), ("full", "0")}
    assert all(0 <= float(row["dice"]) <= 1 for row in rows)


def test_every_task_ran_in_the_container(finished, machine):
    versions = json.loads(next(finished.glob("results/demo/pipeline_info/software_versions_*.json")).read_text())
    assert versions["software"]["container"] == machine.sif.name
    assert "bookworm" in versions["software"]["system"]
    assert "bookworm" not in (machine.root / "etc/os-release").read_text()
    tasks = list(finished.glob("work/*/*/.command.run"))
    assert len(tasks) >= 18
    assert all(machine.sif.name in task.read_text() for task in tasks)


def test_all_that_was_written_is_the_users(finished, machine, clone):
    owner = (machine.root / "home" / USER).stat().st_uid
    assert owner != 0
    written = [path for path in finished.rglob("*") if path.name != "log" or path.parent != finished]
    assert written and {path.lstat().st_uid for path in written} == {owner}
    assert [path for path in clone.rglob("*") if path.lstat().st_uid == owner] == []


def test_no_secret_is_written_and_they_pass_by_name(finished):
    assert found(SECRETS.values(), finished) == []
    assert all(found([name], *finished.glob("work/*/*/.command.run")) for name in SECRETS)


def test_an_image_of_other_code_is_refused_with_what_to_do(runs, machine, folder):
    edited = copy_clone(folder / "edited")
    (edited / ".venv").unlink()
    with open(edited / "python/pocketnet/report/page.py", "a") as handle:
        handle.write("\nEDITED = True\n")
    done = runs.run("stale", edited, "--container", str(machine.sif))
    assert done.returncode != 0
    assert "The code that runs here differs from the clone's in: report" in done.stdout
    assert "make image, then make sif" in done.stdout
    assert [line for line in done.stdout.splitlines() if "Submitted process" in line and "VERSIONS" not in line] == []
    shutil.rmtree(edited)
