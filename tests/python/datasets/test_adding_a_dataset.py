"""Adding a dataset is as small as docs/adding-a-dataset.md says: preset, commands and code as they stand there."""

import json
import re
import shlex
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from pocketnet.datasets import layouts, presets
from pocketnet.preprocessing import geometry

ROOT = Path(__file__).parents[3]
GRID = geometry.Grid((20, 12, 24), np.eye(4))


def blocks(kind):
    """The document's blocks of a language."""
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "docs" / "adding-a-dataset.md").read_text(), re.DOTALL)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    geometry.write_image(path, array, GRID)


@pytest.fixture
def lesions(tmp_path):
    """The document's folder with ten cases."""
    folder = tmp_path / "data" / "lesions"
    for index in range(10):
        image, label = tiny.volume(index)
        write(folder / f"p{index:02d}" / "flair.nii.gz", image[..., 0])
        write(folder / f"p{index:02d}" / "t1.nii.gz", image[..., 1])
        write(folder / "masks" / f"p{index:02d}_lesion.nii.gz", label)
    return folder


def test_the_documents_preset_and_commands(tmp_path, monkeypatch, lesions):
    (tmp_path / "lesions.json").write_text(blocks("json")[0])
    monkeypatch.chdir(tmp_path)
    for line in blocks("bash")[0].splitlines():
        name, *arguments = shlex.split(line.replace("/data/lesions", str(lesions)))
        command = import_module("pocketnet.cli." + name.removeprefix("bin/pocket-")).main
        outcome = CliRunner().invoke(command, arguments)
        assert outcome.exit_code == 0, outcome.output
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["modalities"] == ["FLAIR", "T1"] and len(manifest["cases"]) == 10
    assert manifest["labels"] == [{"name": "lesion", "value": 1, "source_values": [1, 2]}]
    assert manifest["cases"][0]["images"] == ["p00/flair.nii.gz", "p00/t1.nii.gz"]
    assert json.loads((tmp_path / "out" / "plan.json").read_text())["dataset"] == "lesions"


def test_the_documents_adapter(tmp_path, monkeypatch):
    adapter = ModuleType("two_folders")
    exec(blocks("python")[0], vars(adapter))
    monkeypatch.setitem(layouts.LAYOUTS, "two_folders", adapter)
    value = json.loads(blocks("json")[0]) | {"layout": "two_folders", "modalities": None}
    del value["files"]
    (tmp_path / "ct.json").write_text(json.dumps(value))
    for index in range(3):
        image, label = tiny.volume(index)
        write(tmp_path / "scans" / f"c{index}.nii.gz", image[..., 0])
        if index:
            write(tmp_path / "truth" / f"c{index}.nii.gz", label)
    found = layouts.scan(tmp_path, presets.load(str(tmp_path / "ct.json")))
    assert [case.name for case in found.cases] == ["c0", "c1", "c2"] and found.modalities == ("CT",)
    assert [problem.case for problem in found.missing_labels] == ["c0"]
    assert "two folders" in adapter.__doc__
