"""`pocket-report`: from folders to a page."""

import json

from click.testing import CliRunner
from fake_run import write_profile, write_run
from pocketnet.cli.report import main


def test_writes_one_page(tmp_path):
    root = write_run(tmp_path)
    profile = write_profile(root / "profile.json")
    outcome = CliRunner().invoke(main, [
        "--comparison", str(root / "comparison"), "--models", str(root / "models" / "unet-full" / "fold0"),
        "--models", str(root / "models" / "unet-pocket"), "--evaluations", str(root / "evaluation"),
        "--profiles", str(profile), "-o", str(root / "report.html"), "--json"])
    assert outcome.exit_code == 0, outcome.output
    answer = json.loads(outcome.stdout)
    assert answer["problems"] == []
    assert answer["bytes"] == (root / "report.html").stat().st_size < 10e6


def test_nothing_to_report_is_wrong_usage(tmp_path):
    nowhere = tmp_path / "nowhere"
    outcome = CliRunner().invoke(main, ["--models", str(nowhere), "-o", str(tmp_path / "report.html")])
    assert outcome.exit_code == 2 and str(nowhere) in outcome.stderr
    assert not (tmp_path / "report.html").exists()


def test_a_run_without_a_finished_training_has_a_page_that_says_so(tmp_path):
    (tmp_path / "models").mkdir()
    outcome = CliRunner().invoke(main, ["--models", str(tmp_path / "models"), "--comparison", str(tmp_path), "-o",
                                        str(tmp_path / "report.html"), "--json"])
    assert outcome.exit_code == 0, outcome.output
    text = (tmp_path / "report.html").read_text()
    for words in ("No verdict", "There are no model folders", "There is no comparison", "There are no evaluations"):
        assert words in text
    assert len(json.loads(outcome.stdout)["problems"]) == 2
