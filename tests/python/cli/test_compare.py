"""`pocket-compare`: what it writes and when it refuses."""

import json

import checked
import pandas as pd
from click.testing import CliRunner
from fake_run import metrics, written
from pocketnet.cli.compare import main
from pocketnet.evaluation import table


def run(tmp_path, *frames, options=()):
    paths = []
    for index, frame in enumerate(frames):
        paths.append(tmp_path / f"{index}.csv")
        table.write_metrics(paths[-1], frame)
    return CliRunner().invoke(main, [*map(str, paths), "-o", str(tmp_path / "out"), *options])


def test_writes_json_csv_markdown_and_all_rows(tmp_path):
    outcome = run(tmp_path, metrics("full"), metrics("pocket"))
    assert outcome.exit_code == 0, outcome.output
    out = tmp_path / "out"
    assert written(out) == ["comparison.csv", "comparison.json", "comparison.md", "comparison.tex", "metrics.csv"]
    comparison = checked.read_json(out / "comparison.json", "comparison")
    assert len(comparison["pairs"]) == 12
    assert len(table.read(out / "metrics.csv")) == 40
    tidy = pd.read_csv(out / "comparison.csv")
    assert len(tidy) == 2 * 3 * 4
    assert tidy["difference"].notna().sum() == 12
    assert (tidy["mean_low"].le(tidy["mean"]) & tidy["mean"].le(tidy["mean_high"])).all()
    assert outcome.stdout.strip() == (out / "comparison.md").read_text().strip()


def test_is_deterministic_and_answers_in_json(tmp_path):
    first = json.loads(run(tmp_path, metrics("full"), metrics("pocket"), options=["--json"]).stdout)
    second = json.loads(run(tmp_path, metrics("pocket"), metrics("full"), options=["--json"]).stdout)
    assert first == second


def test_keeps_what_else_is_in_the_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert run(tmp_path, metrics("full"), metrics("pocket")).exit_code == 0
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def test_mixed_code_is_refused_with_both_files_and_nothing_written(tmp_path):
    outcome = run(tmp_path, metrics("full"), metrics("pocket", code="newer"))
    assert outcome.exit_code == 2
    assert "0.csv" in outcome.stderr and "1.csv" in outcome.stderr and "--allow-mixed-code" in outcome.stderr
    assert not (tmp_path / "out").exists()
    assert run(tmp_path, metrics("full"), metrics("pocket", code="newer"),
               options=["--allow-mixed-code"]).exit_code == 0


def test_a_missing_file_is_wrong_usage(tmp_path):
    outcome = CliRunner().invoke(main, [str(tmp_path / "no.csv"), "-o", str(tmp_path / "out")])
    assert outcome.exit_code == 2 and "no.csv" in outcome.stderr
