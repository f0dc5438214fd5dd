"""Nextflow's jars are compared with the lock by name and checksum, whatever folder they lie in."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

CONF = Path(__file__).parents[2] / "conf/nextflow"
CONTENT = {"one-1.0.jar": b"one", "two-2.0.jar": b"two"}


@pytest.fixture
def check(tmp_path):
    """Check the class path's two folders after files were put there (content by path); the finished process."""
    def run(files: dict[str, bytes]) -> subprocess.CompletedProcess[str]:
        lock = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in CONTENT.items())
        (tmp_path / "lock").write_text(lock)
        for folder in ("jars", "modules"):
            (tmp_path / folder).mkdir()
        for path, data in files.items():
            (tmp_path / path).write_bytes(data)
        return subprocess.run([sys.executable, CONF / "check_jars.py", "lock", "jars", "modules"], cwd=tmp_path,
                              capture_output=True, text=True)
    return run


@pytest.mark.parametrize("places", [
    ["jars/one-1.0.jar", "jars/two-2.0.jar"], ["modules/one-1.0.jar", "modules/two-2.0.jar"],
    ["jars/one-1.0.jar", "modules/two-2.0.jar"], ["modules/one-1.0.jar", "jars/two-2.0.jar"],
    ["jars/one-1.0.jar", "modules/one-1.0.jar", "jars/two-2.0.jar"],
])
def test_the_locked_jars_pass_in_either_folder_and_in_both(check, places):
    done = check({place: CONTENT[Path(place).name] for place in places})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("files, words", [
    ({"jars/one-1.0.jar": b"one"}, ["missing: two-2.0.jar"]),
    ({}, ["missing: one-1.0.jar", "missing: two-2.0.jar"]),
    ({"jars/one-1.0.jar": b"one", "modules/two-2.0.jar": b"twO"}, ["changed: modules/two-2.0.jar"]),
    ({"jars/one-1.0.jar": b"one", "jars/two-2.0.jar": b"two", "modules/two-2.0.jar": b""},
     ["changed: modules/two-2.0.jar"]),
    ({"jars/one-1.0.jar": b"one", "jars/two-2.0.jar": b"two", "modules/two-2.1.jar": b"two"},
     ["unknown: modules/two-2.1.jar"]),
    ({"jars/one-1.0.jar": b"one", "jars/two-2.0.jar": b"two", "jars/THREE.JAR": b""}, ["unknown: jars/THREE.JAR"]),
    ({"jars/one-1.0.jar": b"eno", "modules/three.jar": b"two"},
     ["changed: jars/one-1.0.jar", "missing: two-2.0.jar", "unknown: modules/three.jar"]),
])
def test_each_missing_changed_or_unknown_jar_is_named(check, files, words):
    done = check(files)
    assert done.returncode == 1
    faults = [line.split("jars: ", 1)[1] for line in done.stderr.splitlines() if line.startswith("make: Nextflow's")]
    assert sorted(line[:len(word)] for line, word in zip(sorted(faults), words, strict=True)) == words
    assert "what to do: " in done.stderr


@pytest.mark.parametrize("text, words", [
    ("", "no line"), ("0" * 64 + "  modules/one-1.0.jar\n", "line 1"), ("abc  one-1.0.jar\n", "line 1"),
    (("0" * 64 + "  one-1.0.jar\n") * 2, "line 2"),
])
def test_a_spoiled_lock_is_refused(tmp_path, text, words):
    (tmp_path / "lock").write_text(text)
    done = subprocess.run([sys.executable, CONF / "check_jars.py", "lock", "."], cwd=tmp_path, capture_output=True,
                          text=True)
    assert done.returncode == 1 and words in done.stderr


def test_the_lock_of_this_project_names_no_folder_and_has_nextflow():
    names = [line.split("  ")[1] for line in (CONF / "jars.sha256").read_text().splitlines()]
    assert not [name for name in names if "/" in name]
    assert {"nextflow-24.10.8.jar", "nf-commons-24.10.8.jar", "nf-httpfs-24.10.8.jar"} <= set(names)
