"""An altered model folder: every command that reads one refuses it, and none writes checksums for it."""

import json
import shutil
from importlib import import_module
from pathlib import Path

import made
import pytest
import tiny
from click.testing import CliRunner
from pocketnet.errors import AlteredError, DataError
from pocketnet.tracking.records import read_run
from pocketnet.training.model_folder import ModelFolder

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "hippocampus" / "fold1"


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copytree(SHIPPED, tmp_path / "model"))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def add(path):
    path.parent.mkdir()
    path.write_bytes(b"another")


def forget(model, name):
    """Take a file off the list, as one who alters it would."""
    path = model / "checksums.json"
    value = json.loads(path.read_text())
    del value["files"][name]
    path.write_text(json.dumps(value))


def climb(model):
    """List a file outside of the folder."""
    path = model / "checksums.json"
    value = json.loads(path.read_text())
    value["files"]["../outside"] = value["files"]["plan.json"]
    shutil.copy(model / "plan.json", model.parent / "outside")
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("name, change", [
    ("model.bin", lambda model: flip(model / "model.bin")),
    ("history.csv", lambda model: flip(model / "history.csv")),
    ("member2.provenance.json", lambda model: (model / "member2.provenance.json").unlink()),
    ("history.csv", lambda model: forget(model, "history.csv")),
    ("notes.txt", lambda model: (model / "notes.txt").write_text("mine")),
    ("more/model.bin", lambda model: add(model / "more" / "model.bin")),
    ("linked", lambda model: (model / "linked").symlink_to(model.parent))])
def test_what_is_not_as_listed_is_named(model, name, change):
    change(model)
    with pytest.raises(AlteredError) as caught:
        ModelFolder.open(model)
    assert any(problem.startswith(f"{name} ") for problem in caught.value.problems)
    record = read_run([model])
    assert record.models == [] and len(record.altered) == 1 and name in record.altered[0]


def test_a_list_that_leads_out_of_the_folder_is_refused(model):
    climb(model)
    with pytest.raises(DataError, match=r"\.\./outside"):
        ModelFolder.open(model)
    assert read_run([model]).models == []


def test_files_that_nothing_reads_may_be_there(model):
    for name in (".DS_Store", "Thumbs.db", ".cache/x"):
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_bytes(b"x")
    assert ModelFolder.open(model).sha256 == ModelFolder.open(SHIPPED).sha256


def test_a_copy_keeps_the_recorded_checksums(model, tmp_path):
    opened = ModelFolder.open(model)
    assert opened.copy(["model.bin", "plan.json"], tmp_path / "a") == {
        name: opened.sha256[name] for name in ("model.bin", "plan.json")}
    flip(model / "model.bin")
    with pytest.raises(AlteredError, match=r"while it was read[^!]*model\.bin"):
        opened.copy(["model.bin"], tmp_path / "b")


@pytest.mark.parametrize("command", [
    ["infer", "--model", "model", "scan.nii.gz", "-o", "out"], ["export", "--model", "model", "-o", "out"],
    ["ensemble", "--model", "model", "--model", "model", "-o", "out"],
    ["decide", "--model", "model", "--splits", "splits.json", "--stores", "stores", "-o", "out"],
    ["prune", "--model", "model", "--width", "pocket", "-o", "out"],
    ["activations", "--model", "model", "--splits", "splits.json", "--stores", "stores", "-o", "out.json"],
    ["evaluate", "--model", "model", "--manifest", "manifest.json", "--input", ".", "--predictions", ".", "-o", "out"],
    ["train", "--start-from", "model", "--variant", "x", "--plan", "plan.json", "--splits", "splits.json", "--stores",
     "stores", "--width", "pocket", "--fold", "0", "-o", "out"],
    ["experiment", "accuracy", "--models", "model", "--manifest", "manifest.json", "--plan", "plan.json", "--splits",
     "splits.json", "-o", "out"],
    ["report", "--models", "model", "-o", "page.html"],
    ["collect", "--models", "model", "--mlflow-uri", "sqlite:///mlflow.db"]], ids=lambda command: command[0])
def test_every_command_refuses_an_altered_network(model, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    made.manifest().write("manifest.json")
    tiny.splits().write("splits.json")
    tiny.plan().write("plan.json")
    Path("scan.nii.gz").write_bytes(b"")
    Path("stores").mkdir()
    flip(model / "model.bin")
    done = CliRunner().invoke(import_module(f"pocketnet.cli.{command[0]}").main, command[1:])
    assert done.exit_code == DataError.exit_code, (done.output, done.exc_info)
    assert "model.bin was altered: its SHA-256 is" in done.stderr
    assert not Path("out").exists() and not Path("mlflow.db").exists()


def test_a_page_is_written_without_the_altered_network(model, tmp_path):
    from pocketnet.cli.report import main

    flip(model / "history.csv")
    page = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["--models", str(model), "-o", str(page), "--quiet"])
    assert done.exit_code == DataError.exit_code and "history.csv was altered" in page.read_text()
    assert "There are no model folders" in page.read_text()
