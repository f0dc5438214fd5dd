"""Fixtures of the pipeline's tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from planted import plant_in_headers
from running import HOSTILE, copy_clone


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: runs the whole pipeline; leave out with -m 'not slow'")


@pytest.fixture(scope="session")
def clone(tmp_path_factory) -> Path:
    """A copy of the clone that no test edits."""
    return copy_clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def edited_clone(tmp_path_factory) -> Path:
    """A copy of the clone whose code tests edit."""
    return copy_clone(tmp_path_factory.mktemp("edited"))


@pytest.fixture(scope="session")
def made_data(clone, tmp_path_factory) -> Path:
    """The folder, of a hostile name, of a tiny decathlon dataset with planted words in the images' headers."""
    folder = tmp_path_factory.mktemp("made") / HOSTILE
    subprocess.run([clone / "bin/pocket-demo", "--quiet", "--cases", "6", "-o", folder], check=True)
    plant_in_headers(folder)
    return folder
