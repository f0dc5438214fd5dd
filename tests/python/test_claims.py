"""Of two commands at once with the same output, one writes; the other says so and leaves everything as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner
from pocketnet import claims, files, outputs
from pocketnet.errors import UsageError
from test_outputs import COMMANDS, arguments_of, tree, write_whole

WHOLE = {"calibrate": "out/fold1", "decide": "out", "demo": "out", "ensemble": "out", "export": "out",
         "preprocess": "out/case_0", "prune": "out", "train": "out"}
"""The folders that commands write as a whole."""


@contextmanager
def another(*paths: str, whole: bool = False) -> Iterator[None]:
    """Another command that holds outputs, in a process of its own."""
    ends, told = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        with outputs.writing("train"), suppress(BaseException):
            for path in paths:
                outputs.check_folder(Path(path)) if whole else outputs.check_files({Path(path): None})
            os.write(told[1], b"1")
            os.close(ends[1])
            os.read(ends[0], 1)
        os._exit(0)
    os.close(ends[0])
    os.close(told[1])
    try:
        assert os.read(told[0], 1) == b"1"
        yield
    finally:
        os.close(ends[1])
        os.close(told[0])
        os.waitpid(child, 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_of_two_commands_with_one_output_the_second_is_refused_before_any_work(tmp_path, monkeypatch, command):
    """And it leaves everything as it is."""
    monkeypatch.chdir(tmp_path)
    arguments = arguments_of(command, tmp_path)
    whole = WHOLE.get(command)
    shared = command == "infer"
    before = tree(tmp_path)
    with another(whole or COMMANDS[command][1][0], whole=whole is not None):
        ran = CliRunner().invoke(import_module(f"pocketnet.cli.{command}").main, arguments)
        assert ran.exit_code == 2 and "Another command writes this now" in ran.stderr, ran.output
        assert "out" in ran.stderr and "what to do: Wait until it has ended" in ran.stderr
    assert tree(tmp_path) == before and (shared or not Path("out").exists())


@pytest.mark.parametrize("place", ["new/out", "empty", "ours"])
def test_a_folder_is_claimed_wherever_it_is_and_given_back(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    with outputs.writing("train"):
        write_whole(Path("ours"), "model.keras")
    before = sorted(tmp_path.rglob("*"))
    with another(place, whole=True):
        for other in (place, f"./{place}", f"{tmp_path}/{place}"):
            with outputs.writing("train"), pytest.raises(UsageError, match="Another command writes this now"):
                outputs.check_folder(Path(other))
        with outputs.writing("train"):  # another folder, and files beside it
            outputs.check_folder(Path("other"))
            outputs.check_files({Path(place).parent / "table.csv": None})
    assert sorted(tmp_path.rglob("*")) == before
    with outputs.writing("train"):
        write_whole(Path(place), "model.keras")
    assert not list(tmp_path.rglob(".part-*"))


def test_a_killed_commands_claims_are_free(tmp_path):
    child = os.fork()
    if not child:
        with outputs.writing("train"):
            outputs.check_files({tmp_path / "a.csv": None})
            os._exit(9)
    os.waitpid(child, 0)
    assert os.listdir(tmp_path) == [claims.LOCK]
    with outputs.writing("train"):
        outputs.check_files({tmp_path / "a.csv": None})
    assert os.listdir(tmp_path) == []


def test_a_lock_file_that_is_not_ours_to_use_stops_nothing_and_stays(tmp_path):
    (tmp_path / claims.LOCK).symlink_to(tmp_path / "elsewhere")
    with outputs.writing("train"):
        files.write_text(tmp_path / "a.csv", "new")
        outputs.check_files({tmp_path / "a.csv": None})
    assert (tmp_path / claims.LOCK).is_symlink() and not (tmp_path / "elsewhere").exists()
