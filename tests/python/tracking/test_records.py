"""Reading what a run has left."""

import os

from fake_run import write_model, write_run
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
    (folder / "plan.json").write_text("{}")
    run = read_run([folder, tmp_path / "nowhere"], comparison=tmp_path, profiles=[tmp_path / "profile.json"])
    assert len(run.models) == 1 and run.models[0].history == [] and run.models[0].plan is None
    assert len(run.problems) == 5
    for part in ("history.csv", "plan.json", "nowhere", "comparison.json", "profile.json"):
        assert any(part in problem for problem in run.problems), part
