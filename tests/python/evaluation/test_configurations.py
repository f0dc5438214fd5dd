"""The choice between 2D and 3D: by the validation cases of all folds, per network, and what follows from it."""

from __future__ import annotations

import json
from dataclasses import replace

import checked
import pandas as pd
import pytest
from click.testing import CliRunner
from fake_run import metrics, plan_in, validation, write_both, write_model
from pocketnet.cli.compare import main
from pocketnet.contracts.decisions import Decisions, combined
from pocketnet.errors import DataError, UsageError
from pocketnet.evaluation import table
from pocketnet.evaluation.comparison import compare
from pocketnet.evaluation.configurations import choose, mark
from pocketnet.report.content import context
from pocketnet.tracking.records import read_run
from pocketnet.training.model_folder import ModelFolder


def models(folder, **dice):
    """Model folders of folds 0 and 1 with so much validation Dice, by name."""
    return [ModelFolder.open(write_model(folder / f"{name}-{fold}", plan_in(name[-2:]), width=name.replace("_", "-"),
                                         fold=fold, decisions=validation(value, fold)))
            for name, value in dice.items() for fold in (0, 1)]


def test_each_network_gets_the_configuration_with_the_higher_mean_of_all_folds(tmp_path):
    found = choose(models(tmp_path, pocket_2d=0.8, pocket_3d=0.75, full_2d=0.7, full_3d=0.72))
    assert [(one.arch, one.width, one.chosen) for one in found] == [("unet", "full", "3d"), ("unet", "pocket", "2d")]
    pocket = found[1]
    assert (pocket.folds, pocket.cases, pocket.used, pocket.unused) == (
        (0, 1), 8, ("unet", "pocket-2d"), ("unet", "pocket-3d"))
    assert pocket.difference == pytest.approx(0.05) and pocket.interval == pytest.approx((0.05, 0.05))
    for part in ("difference +0.0500", "95 % interval [+0.0500, +0.0500]", "8 validation cases of 2 folds", "in 3D"):
        assert part in pocket.reason
    assert [round(one.dice, 4) for one in pocket.results] == [
        pytest.approx(value + pocket.results[0].dice - 0.8, abs=1e-4) for value in (0.8, 0.75)]


def test_equal_ones_are_3d_and_groups_count_once_in_the_interval(tmp_path):
    both = models(tmp_path, pocket_2d=0.8, pocket_3d=0.8)
    assert [one.chosen for one in choose(both)] == ["3d"]
    assert "both may be equally accurate" in choose(both)[0].reason
    names = [case.case for model in both for case in model.provenance.decisions.validation]
    [one] = choose(both, dict.fromkeys(names, "group p1"))
    assert one.interval is None and "too few cases or patients for an interval" in one.reason


def test_models_of_one_configuration_are_left_out_and_halves_are_refused(tmp_path):
    plain = ModelFolder.open(write_model(tmp_path / "plain"))
    assert choose([plain]) == ()
    both = models(tmp_path, pocket_2d=0.8, pocket_3d=0.7)
    with pytest.raises(UsageError, match="trained in 2d only"):
        choose([plain, *both[:2]])
    with pytest.raises(UsageError, match="in different folds only"):
        choose([both[0], both[3]])
    with pytest.raises(UsageError, match="twice for fold 0"):
        choose([*both, both[0]])
    bare = ModelFolder.open(write_model(tmp_path / "bare", plan_in("3d"), width="pocket-3d"))
    with pytest.raises(DataError, match="no validation Dice"):
        choose([both[0], bare])


def test_an_ensembles_validation_dice_is_its_members_mean():
    first, second = (Decisions.from_json(validation(value, 0)) for value in (0.7, 0.8))
    both = combined([first, second])
    assert [one.dice for one in both.validation] == pytest.approx([one.dice + 0.05 for one in first.validation])
    assert combined([first, replace(second, validation=None)]).validation is None
    assert combined([first, Decisions.from_json(validation(0.8, 1, cases=3))]).validation is None  # of another fold


def test_only_chosen_configurations_are_compared_and_the_others_stay_marked(tmp_path):
    root = write_both(tmp_path / "run")
    record = checked.read_json(root / "comparison/comparison.json", "comparison")
    assert {(pair["width"], pair["reference"]) for pair in record["pairs"]} == {("pocket-2d", "full-3d")}
    assert {row["width"] for row in record["networks"]} == {"pocket-2d", "pocket-3d", "full-2d", "full-3d"}
    assert {one["width"]: one["chosen"] for one in record["configurations"]} == {"pocket": "2d", "full": "3d"}
    assert any(note.startswith("unet pocket: 2D is used (pocket-2d), pocket-3d is not.") for note in record["notes"])
    text = (root / "comparison/comparison.md").read_text()
    assert "pocket-3d (not chosen)" in text and "full-2d (not chosen)" in text and "pocket-2d (not" not in text
    tidy = pd.read_csv(root / "comparison/comparison.csv")
    assert set(tidy[tidy["configuration"] == "not chosen"]["width"]) == {"pocket-3d", "full-2d"}
    assert "pocket-3d (not chosen)" in (root / "comparison/comparison.tex").read_text()

    values = context(read_run([root / "models"], [root / "evaluation"], root / "comparison"))
    assert [(one["width"], one["reference"]) for one in values["verdicts"]] == [("pocket-2d", "full-3d")]
    assert {row["network"]: row["mark"] for row in values["accuracy"]} == {
        "unet pocket-2d": "chosen", "unet pocket-3d": "not chosen", "unet full-2d": "not chosen",
        "unet full-3d": "chosen"}
    assert [row["chosen"] for row in values["decisions"] if row["what"] == "Configuration"] == ["3D", "2D"]
    what = dict(values["what"])
    assert what["Network in 2D"].startswith("2D") and what["Network in 3D"].startswith("3D")
    assert "Training in 2D" in what and "No full network" not in "".join(values["missing"])
    assert not any("by the paper" in fact["name"] for fact in values["verdicts"][0]["facts"])  # 2D beside 3D


def test_without_models_each_configuration_is_compared_with_its_own():
    names = ("full-2d", "full-3d", "pocket-2d", "pocket-3d", "capped64-2d")
    rows = pd.concat([metrics(name).assign(file=f"{name}.csv") for name in names], ignore_index=True)
    found = compare(rows)
    assert {(pair.width, pair.reference) for pair in found.pairs} == {
        ("pocket-2d", "full-2d"), ("pocket-3d", "full-3d"), ("capped64-2d", "full-2d")}
    assert found.configurations is None and mark(found.configurations, "unet", "pocket-2d") == ""
    assert "configurations" not in json.dumps(found.to_json())


def test_a_folder_without_models_is_wrong_usage(tmp_path):
    table.write_metrics(tmp_path / "metrics.csv", metrics())
    (tmp_path / "models").mkdir()
    done = CliRunner().invoke(main, [str(tmp_path / "metrics.csv"), "--models", str(tmp_path / "models"), "-o",
                                     str(tmp_path / "out")])
    assert done.exit_code == 2 and "no model folder" in done.stderr and str(tmp_path / "models") in done.stderr
