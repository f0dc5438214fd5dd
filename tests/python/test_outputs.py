"""No command removes or replaces a file that it did not write: the rule itself, and each command at its door."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import checked
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from pocketnet import files, outputs
from pocketnet.code import steps
from pocketnet.contracts.manifest import Manifest
from pocketnet.errors import UsageError
from pocketnet.inference import batch
from pocketnet.inference.results import Wanted
from pocketnet.preprocessing import geometry

REPOSITORY = Path(__file__).parents[2]
MODEL = REPOSITORY / "models" / "hippocampus" / "fold1"
OLD = "somebody's"


def tree(folder: Path) -> dict[str, bytes]:
    """What lies below a folder, its markers aside."""
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != outputs.MARKER}


def write_whole(folder: Path, *names: str, text: str = "new") -> None:
    with files.atomic_folder(folder) as temporary:
        for name in names:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text(text)


def test_links_in_a_circle_are_no_traceback(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    outputs.check_files({tmp_path / "new.json": None}, [tmp_path / "a"])
    outputs.check_unaltered([tmp_path / "a"])
    with pytest.raises(UsageError, match="would be replaced: a .a link"):
        outputs.check_files({tmp_path / "a": None}, [tmp_path / "c"])
    with pytest.raises(UsageError):
        write_whole(tmp_path / "a", "model.keras")
    batch.check_output(tmp_path / "out", {"one": [tmp_path / "a"]}, False, Wanted(), ())


# A folder that is written as a whole

@pytest.mark.parametrize("there", ["notes.txt", ".hidden", "data/scan.nii.gz", "model.keras", "empty folder", "link"])
def test_a_folder_with_anything_else_is_refused_and_left(tmp_path, there):
    target = tmp_path / "out"
    target.mkdir()
    if there == "empty folder":
        (target / there).mkdir()
    elif there == "link":
        (target / there).symlink_to("/nowhere")
    else:
        (target / there).parent.mkdir(exist_ok=True)
        (target / there).write_text(OLD)
    before = sorted(target.rglob("*"))
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="not written by a pocket command|a link") as caught, \
                outputs.writing("train", overwrite):
            write_whole(target, "model.keras")
        assert there.split("/")[0] in caught.value.what and caught.value.where == str(target)
        assert "--overwrite" not in caught.value.todo
    assert sorted(target.rglob("*")) == before and OLD.encode() in {*tree(target).values(), OLD.encode()}


def test_new_empty_and_its_own_are_written(tmp_path, monkeypatch):
    write_whole(tmp_path / "a" / "new", "x", "inner/y")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    write_whole(Path("."), "x")
    write_whole(Path("."), "z", "inner/y")
    assert os.listdir(".") and tree(Path.cwd()) == {"z": b"new", "inner/y": b"new"}  # the folder itself stays
    write_whole(tmp_path / "a" / "new", "x", text="newer")
    assert tree(tmp_path / "a" / "new") == {"x": b"newer"} and not (tmp_path / "a" / "new" / "inner").exists()
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([
        "a", "empty", "new", "x", "inner", "y", "z", *[outputs.MARKER] * 2])


def test_another_commands_and_what_was_changed_needs_overwrite(tmp_path):
    with outputs.writing("train"):
        write_whole(tmp_path / "m", "model.keras", "plan.json")
    with outputs.writing("prune"), pytest.raises(UsageError, match="model.keras .of pocket-train.*plan.json") as caught:
        write_whole(tmp_path / "m", "model.keras")
    assert "--overwrite" in caught.value.todo
    (tmp_path / "m" / "plan.json").write_text("edited")
    with outputs.writing("train"), pytest.raises(UsageError, match="plan.json .changed since pocket-train wrote it"):
        write_whole(tmp_path / "m", "model.keras")
    assert tree(tmp_path / "m") == {"model.keras": b"new", "plan.json": b"edited"}
    with outputs.writing("prune", overwrite=True):
        write_whole(tmp_path / "m", "last.keras")
    assert tree(tmp_path / "m") == {"last.keras": b"new"}


def test_what_comes_while_a_command_works_stays(tmp_path):
    with pytest.raises(UsageError, match="notes.txt"), files.atomic_folder(tmp_path / "m") as temporary:
        (temporary / "model.keras").write_text("new")
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "notes.txt").write_text(OLD)
    assert tree(tmp_path) == {"m/notes.txt": OLD.encode()}
    with pytest.raises(UsageError, match="notes.txt"), files.atomic(tmp_path / "m" / "new" / "notes.txt") as temporary:
        temporary.write_text("new")
        (tmp_path / "m" / "new" / "notes.txt").write_text(OLD)
    assert set(tree(tmp_path).values()) == {OLD.encode()}


def test_a_marker_speaks_for_its_own_folder_only(tmp_path):
    """A marker from elsewhere, with paths that lead out, with links in its place, torn, or with nonsense."""
    (tmp_path / "precious").write_text(OLD)
    target = tmp_path / "out"
    write_whole(target, "x")
    recorded = {"command": "python", "sha256": files.sha256(tmp_path / "precious")}
    lines = [json.dumps({"file": name, **recorded})
             for name in ("../precious", str(tmp_path / "precious"), "l/precious")]
    marker = target / outputs.MARKER
    marker.write_bytes(marker.read_bytes() + "\n".join([*lines, "[1]", "[" * 9999, '{"file": 3}', '{"fil']).encode())
    write_whole(target, "y")
    assert tree(tmp_path) == {"precious": OLD.encode(), "out/y": b"new"}
    (target / "l").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="l .a link"):
        write_whole(target, "z")
    (target / "l").unlink()
    (tmp_path / "out2").mkdir()
    (tmp_path / "out2" / outputs.MARKER).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        files.write_text(tmp_path / "out2" / "a.txt", "new")
    assert (tmp_path / "precious").read_text() == OLD


def test_a_killed_command_leaves_parts_only_and_is_no_obstacle(tmp_path):
    (tmp_path / "m" / ".part-m-abc").mkdir(parents=True)
    (tmp_path / "m" / ".part-m-abc" / "model.keras").write_text("half")
    write_whole(tmp_path / "m", "model.keras")
    assert tree(tmp_path / "m") == {"model.keras": b"new", ".part-m-abc/model.keras": b"half"}


def test_a_command_reads_nothing_that_it_writes(tmp_path):
    write_whole(tmp_path / "m", "model.keras")
    (tmp_path / "link").symlink_to("m")
    for name in ("m", "link", "m/../m"):
        with pytest.raises(UsageError, match="an input"):
            outputs.check_folder(tmp_path / name, [tmp_path / "m"])


# Files that are written beside others

def test_a_file_is_replaced_by_the_command_that_wrote_it(tmp_path):
    with outputs.writing("report"):
        files.write_text(tmp_path / "report.html", "1")
        files.write_text(tmp_path / "report.html", "2")
    with outputs.writing("picture"), pytest.raises(UsageError, match="report.html .of pocket-report"):
        files.write_text(tmp_path / "report.html", "3")
    with outputs.writing("picture", overwrite=True):
        files.write_text(tmp_path / "report.html", "4")
    (tmp_path / "report.html").write_text("by hand")
    with outputs.writing("picture"), pytest.raises(UsageError, match="changed since"):
        files.write_text(tmp_path / "report.html", "5")
    (tmp_path / "mine.html").write_text(OLD)
    with outputs.writing("report", overwrite=True), pytest.raises(UsageError, match="not written by"):
        files.write_text(tmp_path / "mine.html", "6")
    assert tree(tmp_path) == {"report.html": b"by hand", "mine.html": OLD.encode()}


def test_json_of_the_same_kind_is_ours_without_a_marker(tmp_path):
    """Published or moved results have no marker; other JSON is somebody's."""
    labels = {"labels": [{"name": "one", "value": 1, "source_values": [1]}], "modalities": ["MRI"]}
    checked.write_json(tmp_path / "a.json", labels, "labels")
    (tmp_path / outputs.MARKER).unlink()
    with pytest.raises(UsageError, match="a.json"):
        checked.write_json(tmp_path / "a.json", {"files": {}}, "checksums")
    checked.write_json(tmp_path / "a.json", labels, "labels")
    (tmp_path / "b.json").write_text('{"mine": 1}')
    with pytest.raises(UsageError, match="b.json"):
        checked.write_json(tmp_path / "b.json", labels, "labels")


def test_long_names_are_written(tmp_path):
    name = "名" * 80 + ".txt"
    files.write_text(tmp_path / name, "x")
    write_whole(tmp_path / ("d" * 250), "x")
    assert (tmp_path / name).read_text() == "x" and (tmp_path / ("d" * 250) / "x").is_file()


def as_an_ordinary_user(do: Callable[[], object]) -> str:
    """What a function says that is called by a user who is not root: its error, or nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            do()
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as handle:
        said = handle.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.parametrize("closed", ["a.csv", "a/b/c.csv", "marker"])
def test_a_folder_or_a_marker_that_cannot_be_written_is_told_before_any_work(closed):
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        if closed == "marker":
            (folder / outputs.MARKER).touch(0o400)
        folder.chmod(0o777 if closed == "marker" else 0o555)
        target = folder / ("a.csv" if closed == "marker" else closed)

        def claimed(check: Callable[..., None], given: object) -> None:
            with outputs.writing("compare"):
                check(given)

        for check, given in ((outputs.check_files, {target: None}), (outputs.check_folder, target)):
            if closed == "marker" and check is outputs.check_folder:
                given = folder
            said = as_an_ordinary_user(lambda check=check, given=given: claimed(check, given))
            assert said.startswith("UsageError: The results cannot be written here: permission denied."), said
            assert f"where: {folder}" in said and "what to do: Name another folder" in said
        folder.chmod(0o777)
        assert [path.name for path in folder.iterdir() if path.name != outputs.MARKER] == []


# Each command

def manifest(folder: Path) -> Manifest:
    folder.mkdir(exist_ok=True)
    found = tiny.dataset(folder / "data", 1)
    found.write(folder / "manifest.json")
    return found


COMMANDS = {
    "activations": ("--model m --splits s.json --stores s -o out/a.json", ["out/a.json"]),
    "calibrate": ("--models {model} --evaluations e -o out", ["out/fold1/anything", "out/fold1/model.keras"]),
    "card": ("{model} -o out/card.md", ["out/card.md"]),
    "check": ("--dataset hippocampus --input nowhere -o out", ["out/manifest.json", "out/fingerprint.json",
                                                              "out/problems.csv"]),
    "compare": ("metrics.csv -o out", ["out/metrics.csv", "out/comparison.md", "out/comparison.json"]),
    "decide": ("--model {model} --splits s.json --stores s -o out", ["out/anything", "out/model.keras"]),
    "demo": ("-o out", ["out/anything", "out/dataset.json", "out/imagesTr/x"]),
    "ensemble": ("--model {model} --model {model0} -o out", ["out/anything", "out/model.keras"]),
    "evaluate": ("--manifest {manifest} --input data --predictions p --model {model} -o out",
                 ["out/metrics.csv", "out/overlays.json", "out/overlays/best_case_0.png",
                  "out/thumbnails/case_0.webp"]),
    "experiment": ("ablation --manifest m.json --plan p.json --splits s.json -o out",
                   ["out/table.md", "out/figure.png", "out/experiment.json"]),
    "export": ("--model {model} -o out", ["out/anything", "out/deployment.json"]),
    "infer": ("--model {model} {image} -o out", ["out/case_0_t1.nii.gz", "out/case_0_t1.png", "out/volumes.csv",
                                                "out/labels.txt"]),
    "picture": ("--manifest m.json --fingerprint f.json --input i -o out/p.png", ["out/p.png"]),
    "plan": ("--manifest m.json --fingerprint f.json -o out", ["out/plan.json", "out/splits.json",
                                                              "out/predicted.json"]),
    "preprocess": ("--manifest {manifest} --plan {plan} --input data -o out", ["out/case_0/anything", "out/case_0"]),
    "profile": ("--predict --plan p.json -o out/p.json --plot out/p.png --calibrate out/c.json",
                ["out/p.json", "out/p.png", "out/c.json"]),
    "prune": ("--model {model} -o out", ["out/anything", "out/model.keras"]),
    "read": ("--cases c.json --input data -o out/read.json", ["out/read.json"]),
    "report": ("--models m -o out/report.html", ["out/report.html"]),
    "train": ("--plan p.json --splits s.json --stores s -o out", ["out/anything", "out/model.keras"]),
}
WRITE_NOTHING = {"models", "collect", "verify"}  # pocket-collect adds to a store


def test_every_command_is_tried():
    assert set(COMMANDS) | WRITE_NOTHING == set(steps())


def arguments_of(command: str, folder: Path) -> list[str]:
    """The arguments of a command, after making what it reads before it looks at its output."""
    arguments = COMMANDS[command][0]
    if "{manifest}" in arguments or "{image}" in arguments:
        labels = checked.read_json(MODEL / "labels.json", "labels")["labels"]
        found = manifest(folder)
        if command == "evaluate":
            checked.write_json(folder / "manifest.json", found.to_json() | {"labels": labels}, "manifest")
        tiny.plan().write(folder / "plan.json")
    return arguments.format(model=MODEL, model0=MODEL.with_name("fold0"), manifest="manifest.json",
                            plan="plan.json", image="data/case_0_t1.nii.gz").split()


@pytest.mark.parametrize("command, there", [(command, path) for command, (_, paths) in COMMANDS.items()
                                            for path in paths])
def test_what_is_somebody_elses_is_refused_before_any_work(tmp_path, monkeypatch, command, there):
    """Exit 2 although much of what the command reads isn't there; the output stays as it is."""
    monkeypatch.chdir(tmp_path)
    arguments = arguments_of(command, tmp_path)
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text(OLD)
    (tmp_path / "out.txt").write_text("beside")
    before = tree(tmp_path)
    for more in ([], ["--overwrite"]):
        ran = CliRunner().invoke(import_module(f"pocketnet.cli.{command}").main, [*arguments, *more])
        assert ran.exit_code == 2, ran.output
        assert Path(there).name in ran.stderr and "what to do: Name another" in ran.stderr
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/a", "a\\b", "a\0b", "-a", ".hidden", "a\n", "a\nb", " a"])
@pytest.mark.parametrize("command, option", [("preprocess", ["--plan", "plan.json"]),
                                             ("evaluate", ["--predictions", ".", "--model", str(MODEL)])])
def test_a_case_is_one_plain_file_name(tmp_path, monkeypatch, name, command, option):
    monkeypatch.chdir(tmp_path)
    listing = manifest(tmp_path)
    tiny.plan().write(tmp_path / "plan.json")
    listing = json.loads((tmp_path / "manifest.json").read_text())
    listing["cases"][0]["case"] = name
    (tmp_path / "manifest.json").write_text(json.dumps(listing))
    before = tree(tmp_path)
    ran = CliRunner().invoke(import_module(f"pocketnet.cli.{command}").main, [
        "--manifest", "manifest.json", "--input", "data", *option, "-o", "w/stores"])
    assert ran.exit_code == 3 and "expected one plain file name" in ran.stderr, ran.output
    assert tree(tmp_path) == before


def test_a_predictors_output_is_none_of_its_images_and_nothing_foreign(tmp_path):
    from pocketnet import Predictor

    manifest(tmp_path)
    image = tmp_path / "data" / "case_0_t1.nii.gz"
    (tmp_path / "mine.nii.gz").write_text(OLD)
    (tmp_path / "link.nii.gz").symlink_to(image)
    before = tree(tmp_path)
    predictor = Predictor.load(MODEL)
    for output, said in ((image, "an input"), (tmp_path / "link.nii.gz", "an input"),
                         (tmp_path / "mine.nii.gz", "not written by")):
        with pytest.raises(UsageError, match=said):
            predictor.segment_files([image], output)
    assert tree(tmp_path) == before


def test_a_database_of_another_program_is_left(tmp_path):
    import sqlite3

    from pocketnet.tracking.store import Store

    with sqlite3.connect(tmp_path / "poetry.db") as database:
        database.execute("create table poems (line text)")
    (tmp_path / "poetry.lock").write_text(OLD)
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="another program"):
        Store(f"sqlite:///{tmp_path}/poetry.db")
    assert tree(tmp_path) == before


def test_segmenting_case_after_case_adds_to_a_folder(tmp_path):
    """Two calls, then the first again: all of it is there, and a map that was corrected by hand stays."""
    from pocketnet.cli.infer import main

    for index in range(2):
        image, _ = tiny.volume(index)
        grid = geometry.Grid(image.shape[:3], np.eye(4))
        geometry.write_image(tmp_path / f"{index}.nii.gz", image[..., 0], grid)

    def infer(index, *more):
        return CliRunner().invoke(main, ["--model", str(MODEL), str(tmp_path / f"{index}.nii.gz"),
                                         "-o", str(tmp_path / "out"), "--windows", "plan", *more])

    for index in (0, 1, 0):
        assert infer(index).exit_code == 0
    assert {"0.nii.gz", "1.nii.gz", "0.png", "volumes.csv"} <= set(tree(tmp_path / "out"))
    (tmp_path / "out" / "0.nii.gz").write_bytes((tmp_path / "out" / "1.nii.gz").read_bytes() + b"\0")
    before = tree(tmp_path / "out")
    refused = infer(0, "--again")
    assert refused.exit_code == 2 and "0.nii.gz (changed since pocket-infer wrote it)" in refused.stderr
    assert tree(tmp_path / "out") == before
    assert infer(0, "--again", "--overwrite").exit_code == 0
