"""Reading what a run has left."""

import os
import shutil

import pytest
from click.testing import CliRunner
from fake_run import edit_json, record_anew, write_model, write_run
from pocketnet.cli.compare import main as compare
from pocketnet.tracking.records import read_run


def test_folders_are_found_at_any_depth_through_links_and_once(tmp_path):
    root = write_run(tmp_path / "results")
    staged = tmp_path / "staged"
    staged.mkdir()
    os.symlink(root / "models" / "unet-pocket" / "fold0", staged / "unet-pocket-fold0")
    run = read_run([root / "models", staged], [root / "evaluation"], root / "comparison")
    assert run.problems == []
    assert [model.name for model in run.models] == ["unet full, fold 0", "unet full, fold 1", "unet pocket, fold 0",
                                                    "unet pocket, fold 1"]
    assert [one.run_key for one in run.evaluations] == [m.provenance.run_key for m in run.models]
    assert len(read_run([staged]).models) == 1


def test_what_cannot_be_read_is_a_problem_that_names_the_file(tmp_path):
    folder = write_model(tmp_path / "model")
    (folder / "history.csv").write_text("epoch,step\n1,one\n")
    record_anew(folder / "history.csv")
    planless = write_model(tmp_path / "planless", fold=1)
    edit_json(planless / "plan.json", network={})
    run = read_run([folder, planless, tmp_path / "nowhere"], comparison=tmp_path, profiles=[tmp_path / "profile.json"])
    assert len(run.models) == 1 and run.models[0].history == []
    assert len(run.problems) == 5 and run.altered == []
    for part in ("history.csv", "plan.json", "nowhere", "comparison.json", "profile.json"):
        assert any(part in problem for problem in run.problems), part


@pytest.mark.parametrize("table, text, said", [
    ("history.csv", "epoch,step,learning_rate,loss,validation_loss,seconds\n1,2,0.1,1,1,1\n", "no validation_dice"),
    ("history.csv", "step,learning_rate,loss,validation_loss,validation_dice\n2,0.1,1,1,1\n", "no epoch"),
    ("history.csv", "epoch,step,learning_rate,loss,validation_loss,validation_dice\n1,nan,0.1,1,1,1\n", "step is nan"),
    ("system.csv", "epoch,seconds\n1,2\n", "no step"), ("system.csv", "epoch,step\ninf,2\n", "epoch is inf")])
def test_a_table_of_a_training_without_what_every_one_has(tmp_path, table, text, said):
    folder = write_model(tmp_path / "model")
    (folder / table).write_text(text)
    record_anew(folder / table)
    run = read_run([folder])
    assert [table in problem and said in problem for problem in run.problems] == [True], run.problems


def change(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file, left_out", [
    ("models/unet-pocket/fold1/history.csv", "models"), ("models/unet-pocket/fold1/system.csv", "models"),
    ("models/unet-pocket/fold1/model.keras", "models"), ("evaluation/unet-pocket/fold1/metrics.csv", "evaluations"),
    ("evaluation/unet-pocket/fold1/overlays.json", "evaluations"), ("comparison/comparison.json", "comparison")])
def test_an_altered_record_is_left_out_and_named(tmp_path, file, left_out):
    root = write_run(tmp_path, widths=("pocket",))
    change(root / file)
    run = read_run([root / "models"], [root / "evaluation"], root / "comparison")
    assert len(run.models) == 2 - (left_out == "models") and len(run.evaluations) == 2 - (left_out == "evaluations")
    assert (run.comparison is None) == (left_out == "comparison")
    assert run.altered == run.problems and len(run.altered) == 1 and file.rsplit("/", 1)[1] in run.altered[0]


def test_an_altered_file_is_seen_through_a_link_and_a_copy_without_marker_is_taken(tmp_path):
    root = write_run(tmp_path / "run", widths=("pocket",), folds=(0,))
    metrics = root / "evaluation" / "unet-pocket" / "fold0" / "metrics.csv"
    metrics.write_text(metrics.read_text().replace(",120\n", ",121\n"))  # still a table
    (tmp_path / "link.csv").symlink_to(metrics)
    for path in (metrics, tmp_path / "link.csv"):
        done = CliRunner().invoke(compare, [str(path), "-o", str(tmp_path / "out")])
        assert done.exit_code == 3 and f"{path} was changed since" in done.stderr
    shutil.copy(metrics, tmp_path / "mine.csv")
    assert CliRunner().invoke(compare, [str(tmp_path / "mine.csv"), "-o", str(tmp_path / "out")]).exit_code == 0


def test_a_model_folder_without_its_provenance_is_not_passed_over(tmp_path):
    root = write_run(tmp_path, widths=("pocket",))
    (root / "models" / "unet-pocket" / "fold1" / "provenance.json").unlink()
    run = read_run([root / "models"])
    assert len(run.models) == 1 and len(run.problems) == 1 and "provenance.json is missing" in run.problems[0]


def test_links_in_a_circle_end(tmp_path):
    folder = write_model(tmp_path / "models" / "a")
    (tmp_path / "models" / "b").mkdir()
    for number in range(3):
        (tmp_path / "models" / f"up{number}").symlink_to(tmp_path / "models")
        (folder.parent / "b" / f"over{number}").symlink_to(tmp_path / "models" / "c")
    (tmp_path / "models" / "c").symlink_to(folder.parent / "b")
    assert [model.folder for model in read_run([tmp_path / "models"]).models] == [folder]
