"""An error says what is wrong, where, and what to do, whoever raised it."""

import pytest
from click.testing import CliRunner
from fake_run import write_run
from pocketnet.cli import compare, plan, report


@pytest.mark.parametrize("command, arguments, code, todo", [
    (plan, ["--manifest", "nowhere.json", "--fingerprint", "f.json", "-o", "out"], 2, "pocket-check writes it"),
    (plan, ["--manifest", "no.json", "--fingerprint", "f.json", "-o", "out"], 3, "Fix or replace"),
    (compare, ["nowhere.csv", "-o", "out"], 2, "pocket-evaluate writes it"),
    (report, ["--models", "run/models", "-o", "run/models/unet-full/fold0/plan.json/report.html"], 2, "Name another"),
], ids=["missing", "no JSON", "no table", "not writable"])
def test_three_parts(tmp_path, monkeypatch, command, arguments, code, todo):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no.json").write_text("{")
    write_run(tmp_path / "run", folds=(0,))
    outcome = CliRunner().invoke(command.main, arguments)
    what, where, last = outcome.stderr.splitlines()
    assert outcome.exit_code == code, outcome.output
    assert what.startswith("Error: ") and where.startswith("  where: ")
    assert last.startswith("  what to do: ") and todo in last
