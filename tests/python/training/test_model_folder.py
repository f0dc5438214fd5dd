"""A model folder is verified when it is opened and when it is copied: every difference is named."""

from pathlib import Path

import fake_run
import pytest
from pocketnet import files
from pocketnet.errors import AlteredError, DataError, UsageError
from pocketnet.training.model_folder import ModelFolder

ROOT = Path(__file__).resolve().parents[3]


def test_a_whole_folder_opens(tmp_path):
    folder = fake_run.write_model(tmp_path / "fold0")
    (folder / ".DS_Store").write_text("")
    (folder / "Thumbs.db").write_text("")
    found = ModelFolder.open(folder / "model.keras")
    assert found.path == folder and [label.name for label in found.labels] == ["Anterior", "Posterior"]
    assert found.sha256["plan.json"] == files.sha256(folder / "plan.json") and "checksums.json" not in found.sha256
    assert found.digest == files.digest(found.sha256)
    assert (found.normaliser.scheme, found.normaliser.constants) == ("zscore", ())


def test_all_differences_are_named(tmp_path):
    folder = fake_run.write_model(tmp_path / "fold0")
    (folder / "history.csv").write_text("altered")
    (folder / "system.csv").unlink()
    (folder / "more").mkdir()
    (folder / "more/notes.txt").write_text("")
    with pytest.raises(AlteredError, match="differs from its checksums") as caught:
        ModelFolder.open(folder)
    assert (caught.value.where, caught.value.todo.split()[0]) == (str(folder), "Copy")
    missing, altered, unlisted = caught.value.problems
    assert missing == "system.csv is missing" and unlisted == "more/notes.txt is not listed in checksums.json"
    found = files.sha256(folder / "history.csv")
    assert altered.startswith(f"history.csv was altered: its SHA-256 is {found}, expected")


def test_a_folder_without_a_record_is_refused(tmp_path):
    folder = fake_run.write_model(tmp_path / "fold0")
    (folder / "labels.json").unlink()
    with pytest.raises(DataError, match="incomplete") as caught:
        ModelFolder.open(folder)
    assert (caught.value.problems, caught.value.where) == (["labels.json is missing"], str(folder))
    with pytest.raises(UsageError, match="no model folder") as caught:
        ModelFolder.open(tmp_path / "fold1")
    assert (caught.value.where, caught.value.todo) == (
        str(tmp_path / "fold1"), "pocket-train writes it. Models by name: hippocampus.")


def test_a_copy_is_compared_with_the_record(tmp_path):
    found = ModelFolder.open(fake_run.write_model(tmp_path / "fold0"))
    names = ["plan.json", "history.csv"]
    assert found.copy(names, tmp_path / "copy") == {name: found.sha256[name] for name in names}
    assert (tmp_path / "copy/plan.json").read_bytes() == (found.path / "plan.json").read_bytes()
    (found.path / "history.csv").write_text("altered")
    with pytest.raises(AlteredError, match="while it was read") as caught:
        found.copy(names, tmp_path / "again")
    (problem,) = caught.value.problems
    assert problem.startswith("history.csv was altered") and caught.value.where == str(found.path)


def test_a_model_has_a_name(tmp_path, monkeypatch):
    assert ModelFolder.open("hippocampus").path == ModelFolder.open("hippocampus/fold1").path == (
        ROOT / "models/hippocampus/fold1")
    fake_run.write_model(tmp_path / "models/heart")
    for fold in (0, 1):
        fake_run.write_model(tmp_path / f"models/several/fold{fold}", fold=fold)
    monkeypatch.setenv("POCKET_MODELS", f"{tmp_path}/absent:{tmp_path}/models")
    monkeypatch.chdir(tmp_path)
    assert ModelFolder.open("heart").path == tmp_path / "models/heart"
    assert ModelFolder.open("several/fold1").provenance.fold == 1
    for name in ("several", "../models/heart", "nothing"):
        with pytest.raises(UsageError) as caught:
            ModelFolder.open(name)
        assert "heart, hippocampus, several/fold0, several/fold1." in caught.value.todo
