"""A network beside itself in another run."""

import json

import checked
import pandas as pd
import pytest
from click.testing import CliRunner
from fake_run import metrics
from pocketnet.cli.compare import main
from pocketnet.errors import UsageError
from pocketnet.evaluation import table
from pocketnet.evaluation.baseline import against


def rows(*tables, file="metrics.csv"):
    return pd.concat(tables, ignore_index=True).assign(file=file)


def test_each_network_is_paired_with_itself():
    ours = rows(metrics("full"), metrics("pocket"))
    theirs = ours.assign(recipe="quick", code="older", steps=800, dice=ours["dice"] - 0.02)
    theirs.loc[theirs["width"] == "full", "dice"] += 0.01
    beside, notes = against(ours, theirs.sample(frac=1, random_state=0))
    beside = beside.to_json()
    found = {(pair["width"], pair["label"]): pair["difference"] for pair in beside["pairs"] if pair["metric"] == "dice"}
    assert found == pytest.approx({(width, label): gain for width, gain in (("full", 0.01), ("pocket", 0.02))
                                   for label in ("Anterior", "Posterior", "mean")})
    assert (beside["recipe"], beside["code"], beside["steps"], notes) == ("quick", ["older"], [800], [])


def test_what_has_no_counterpart_is_said():
    _, notes = against(rows(metrics("full"), metrics("pocket"), metrics("pocket", 1)), rows(metrics("pocket")))
    assert notes == ["unet full: the baseline has no such network.",
                     "unet: 10 of 20 cases of pocket have no counterpart in the baseline's pocket (no fold 1 there)."]


@pytest.mark.parametrize("baseline, message", [
    (metrics("pocket", dataset="brats"), "The baseline is of brats, the metrics of"),
    (metrics("full"), "no network and case in common"),
    (metrics("pocket", 1), "no network and case in common"),
])
def test_what_cannot_be_paired_is_refused(baseline, message):
    with pytest.raises(UsageError, match=message) as refusal:
        against(rows(metrics("pocket")), rows(baseline, file="other.csv"))
    assert "other.csv" in str(refusal.value)


def test_the_command_writes_it_beside_the_comparison(tmp_path):
    for name, frame in {"ours": metrics("pocket"), "theirs": metrics("pocket", shift=-0.01, recipe="quick")}.items():
        table.write_metrics(tmp_path / f"{name}.csv", frame)
    arguments = [str(tmp_path / "ours.csv"), "--baseline", str(tmp_path / "theirs.csv"), "-o", str(tmp_path / "out")]
    outcome = CliRunner().invoke(main, [*arguments, "--json"])
    assert outcome.exit_code == 0, outcome.output
    beside = checked.read_json(tmp_path / "out" / "baseline.json", "baseline")
    assert json.loads(outcome.stdout)["baseline"]["pairs"] == beside["pairs"]
    assert "baseline (recipe `quick`" in (tmp_path / "out" / "comparison.md").read_text()


def test_a_refused_baseline_leaves_nothing(tmp_path):
    for name, frame in {"ours": metrics("pocket"), "theirs": metrics("full")}.items():
        table.write_metrics(tmp_path / f"{name}.csv", frame)
    outcome = CliRunner().invoke(main, [str(tmp_path / "ours.csv"), "--baseline", str(tmp_path / "theirs.csv"), "-o",
                                        str(tmp_path / "out")])
    assert outcome.exit_code == 2
    assert not (tmp_path / "out").exists()
