"""Calling `pocket-infer` from other programs, as integrations/ does."""

import ast
import importlib.util
import os
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SLICER = ROOT / "integrations/slicer"


@pytest.fixture(scope="module")
def call():
    spec = importlib.util.spec_from_file_location("pocketnet_call", SLICER / "pocketnet_call.py")
    sys.modules["pocketnet_call"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_slicer_module_gets_a_label_map_and_the_labels_colours(call, hippocampus, tmp_path):
    """With Slicer's own settings of libraries, which must not reach the command."""
    image = hippocampus / "imagesTr/hippocampus_004.nii.gz"
    found = call.segment(str(ROOT / "bin/pocket-infer"), "hippocampus", image, tmp_path / "out",
                         os.environ | {"PYTHONHOME": "/opt/Slicer", "LD_LIBRARY_PATH": "/opt/Slicer/lib"})
    label_map = nib.load(found.label_map)
    assert np.allclose(label_map.affine, nib.load(image).affine) and label_map.shape == nib.load(image).shape
    assert set(np.unique(np.asarray(label_map.dataobj))) == {0, 1, 2}
    assert {"Anterior", "Posterior"} <= set(found.colours.read_text().split())


def test_errors_are_for_the_user(call, tmp_path):
    with pytest.raises(call.Failed, match="There is no absent-command"):
        call.segment("absent-command", "hippocampus", tmp_path / "scan.nii.gz", tmp_path / "out")
    with pytest.raises(call.Failed, match="There is no model folder here"):
        call.segment(str(ROOT / "bin/pocket-infer"), "absent", tmp_path / "scan.nii.gz", tmp_path / "out")


def test_the_module_uses_what_there_is(call):
    """Slicer is not started here; its module at least compiles and imports names that exist."""
    tree = ast.parse((SLICER / "PocketNet.py").read_text())
    names = [alias.name for node in ast.walk(tree)
             if isinstance(node, ast.ImportFrom) and node.module == "pocketnet_call" for alias in node.names]
    assert names and all(hasattr(call, name) for name in names)
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert classes == {"PocketNet", "PocketNetWidget", "PocketNetLogic"}  # Slicer finds them by the file's name
