"""A skipped test passes on anybody's machine, and fails where nothing may be skipped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("setting, code, words", [
    ({}, 0, "2 skipped"), ({"POCKET_NO_SKIPS": "1"}, 1, "no images here")])
def test_a_skip(tmp_path, setting, code, words):
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef images():\n    pytest.skip('no images here')\n\n"
        "def test_with_images(images):\n    pass\n\ndef test_itself():\n    pytest.skip('no images here')\n")
    environment = {name: value for name, value in os.environ.items() if name != "POCKET_NO_SKIPS"} | setting
    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path], env=environment,
                         text=True, capture_output=True)
    assert ran.returncode == code and words in ran.stdout, ran.stdout
