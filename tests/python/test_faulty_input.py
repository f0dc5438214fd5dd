"""Input that is no ordinary file, leads in a circle, or is JSON that no program should take, wherever it is read."""

import os

import pytest
from click.testing import CliRunner
from contracts.examples import example
from pocketnet import files
from pocketnet.cli import check, plan
from pocketnet.contracts.manifest import Manifest
from pocketnet.contracts.overlays import Overlays
from pocketnet.datasets import index, presets
from pocketnet.errors import DataError, UsageError
from pocketnet.evaluation import table

FAULTS = [b'{"layout": NaN}', b'{"layout": 1e999}', b'{"a": 1, "a": 2}', b"[" * 10**5, b"\xff",
          b'{"a": ' + b"1" * 5000 + b"}"]


@pytest.mark.parametrize("content", FAULTS, ids=lambda content: ascii(content[:12]))
def test_presets_and_indices_are_strict_json(tmp_path, content):
    (tmp_path / "mine.json").write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        presets.load(tmp_path / "mine.json")
    (tmp_path / index.INDEX).write_bytes(content)
    with pytest.raises(ValueError, match="not JSON"):
        index.read(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    """Contract, metrics table, preset and a dataset's index; no writer ever comes."""
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="pipe"):
        Manifest.read(pipe)
    with pytest.raises(DataError, match="pipe"):
        table.read(pipe)
    with pytest.raises(UsageError, match="pipe"):
        presets.load(pipe)
    with pytest.raises(DataError, match="device"):
        Manifest.read("/dev/zero")
    os.mkfifo(tmp_path / index.INDEX)
    (tmp_path / "imagesTr").mkdir()
    out = ["-o", str(tmp_path / "out")]
    done = CliRunner().invoke(check.main, ["--dataset", "hippocampus", "--input", str(tmp_path), *out])
    assert done.exit_code in (2, 3) and isinstance(done.exception, SystemExit), done.exc_info
    done = CliRunner().invoke(plan.main, ["--manifest", str(pipe), "--fingerprint", str(pipe), *out])
    assert done.exit_code == 3 and "pipe" in done.output


def test_links_in_a_circle_are_followed_once(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/metrics.csv").touch()
    for place, target in (("a/b/up", "a"), ("a/again", "a/b"), ("self", "."), ("a/b/c", "a/b/c")):
        (tmp_path / place).symlink_to(tmp_path / target)
    found = [folder for folder, names in files.below(tmp_path) if "metrics.csv" in names]
    assert len(found) == 1 and found[0].resolve() == tmp_path / "a/b"


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "overlays/../../x.png"])
def test_a_record_names_no_file_outside_its_folder(path):
    with pytest.raises(DataError, match="within the folder"):
        Overlays.from_json({"overlays": [{"case": "a", "file": path, "rank": "best", "dice": 0.5}]})
    value = example("manifest")
    value["cases"][0]["images"] = [path]
    with pytest.raises(DataError, match="within the folder"):
        Manifest.parse(value, "manifest.json")
