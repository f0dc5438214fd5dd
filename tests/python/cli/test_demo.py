"""`pocket-demo`: the command's face; what it makes is tested in `datasets/test_demo_cases.py`."""

from __future__ import annotations

import json

from click.testing import CliRunner
from pocketnet.cli.check import main as check
from pocketnet.cli.demo import main as demo


def test_the_demo_passes_the_check(tmp_path):
    made = CliRunner().invoke(demo, ["-o", str(tmp_path / "demo"), "--cases", "3", "--json"])
    assert made.exit_code == 0
    assert json.loads(made.stdout) == {"folder": str(tmp_path / "demo"), "cases": 3, "seed": 0}
    assert "Making cases: 3/3" in made.stderr
    checked = CliRunner().invoke(check, ["--dataset", "demo", "--input", str(tmp_path / "demo"),
                                         "-o", str(tmp_path / "out"), "--folds", "3", "--json"])
    assert checked.exit_code == 0
    summary = json.loads(checked.stdout)
    assert summary["warnings"] == []
    assert [label["name"] for label in summary["labels"]] == ["grey matter", "white matter"]
    assert all(0.05 < label["share"] < 0.3 for label in summary["labels"])


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    refused = CliRunner().invoke(demo, ["-o", str(tmp_path)])
    assert refused.exit_code == 2
    assert "thesis.tex (not written by a pocket command)" in refused.stderr
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_no_cases_is_wrong_usage(tmp_path):
    assert CliRunner().invoke(demo, ["-o", str(tmp_path / "demo"), "--cases", "0"]).exit_code == 2
