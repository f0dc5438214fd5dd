"""The documents' commands: each one exists with its options, and README's step by step runs as it stands."""

import json
import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
SCHEMA = json.loads((ROOT / "nextflow_schema.json").read_text())


def commands():
    """Every command line in a `bash` block, with where it stands."""
    for path in DOCUMENTS:
        for block in re.findall(r"```bash\n(.*?)```", path.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip() and not line.startswith("#"):
                    yield pytest.param(line.strip(), id=f"{path.name}: {line.strip()[:60]}")


def names(schema):
    """The pipeline's parameters."""
    groups = schema.get("$defs", schema.get("definitions", {})).values()
    return {name for group in groups for name in group["properties"]} | set(schema.get("properties", {}))


@pytest.mark.parametrize("line", commands())
def test_every_command_exists_with_its_options(line):
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    program, *arguments = words
    if program.startswith("bin/pocket-"):
        assert (ROOT / program).exists(), program
        command = import_module(f"pocketnet.cli.{program.removeprefix('bin/pocket-')}").main
        known = {name for parameter in command.params for name in parameter.opts if isinstance(parameter, click.Option)}
        assert {word.split("=")[0] for word in arguments if word.startswith("-")} <= known | {"--help", "-h"}
    elif program == "bin/nextflow":
        assert {word[2:] for word in arguments if word.startswith("--")} <= names(SCHEMA)
        profiles = arguments[arguments.index("-profile") + 1] if "-profile" in arguments else "standard"
        config = (ROOT / "nextflow.config").read_text()
        assert all(re.search(rf"^    {name} +{{", config, re.MULTILINE) for name in profiles.split(","))
    elif program == "make":
        targets = {word for word in arguments if "=" not in word and not word.startswith("-")}
        assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for target in targets)


def test_links_between_documents_lead_somewhere():
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_readmes_step_by_step(tmp_path, hippocampus):
    """On 14 of the cases, and three steps of training instead of 800; the rest is as README says."""
    text = (ROOT / "README.md").read_text()
    block = next(block for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "pocket-preprocess" in block)
    scan = next((hippocampus / "imagesTr").glob("*.nii.gz"))
    script = (block.replace("/data/Task04_Hippocampus", str(hippocampus)).replace("bin/", f"{ROOT}/bin/")
              .replace("--recipe quick", "--recipe quick --epochs 1 --steps-per-epoch 3")
              .replace(" scan.nii.gz", f" {scan}"))
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scan_seg.nii.gz").stat().st_size > 100

    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Predictor" in block)
    (tmp_path / "scan.nii.gz").symlink_to(scan)
    (tmp_path / "scan_seg.nii.gz").unlink()
    done = subprocess.run([ROOT / ".venv/bin/python", "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={"PYTHONPATH": str(ROOT / "python"), "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scan_seg.nii.gz").is_file()
