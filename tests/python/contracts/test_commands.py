"""A faulty file given to the commands that read it: each works or ends with its documented exit code, no traceback.

`make fuzz` tries more.
"""

from __future__ import annotations

import numpy as np
import pytest
from contracts import reading

NUMBER = 5
"""Faulty contracts for each command."""
TABLES = 3
"""Faulty tables for each command."""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    with reading.done_once():
        yield reading.make(tmp_path_factory.mktemp("work"))


def names(value):
    return value if isinstance(value, str) else value[0]


@pytest.mark.parametrize("file, command", reading.CONTRACTS, ids=names)
def test_a_faulty_file_is_told_or_taken(work, monkeypatch, file, command):
    monkeypatch.chdir(work)
    seed = int(np.frombuffer(file.encode(), np.uint8).sum())
    assert list(reading.survivors(command, file, reading.texts(file, NUMBER, seed))) == []


@pytest.mark.parametrize("file, command", reading.TABLES, ids=names)
def test_a_faulty_table_is_told_or_taken(work, monkeypatch, file, command):
    monkeypatch.chdir(work)
    assert list(reading.survivors(command, file, reading.texts(file, TABLES, seed=5))) == []
