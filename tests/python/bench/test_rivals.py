"""`bench/rivals`: the schedule from a budget, what a command costs, the tables and the verdict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "bench"))

from rivals import report  # noqa: E402
from rivals.__main__ import RECORDS, TOOLS, append, lines  # noqa: E402
from rivals.schedule import Cost, Epochs, Schedule, cost, fitting  # noqa: E402

TITLES = {name: tool.title for name, tool in TOOLS.items()}


def test_the_cost_of_a_step_comes_from_trainings_of_two_lengths():
    assert cost([(10, 25.0), (60, 50.0)]) == Cost(pytest.approx(20), pytest.approx(0.5))
    assert cost([(10, 4.0), (100, 50.0)]).fixed == 0  # a training cannot cost less than nothing
    for measured in ([(10, 25.0)], [(10, 25.0), (10, 26.0)], [(10, 30.0), (60, 20.0)]):
        with pytest.raises(ValueError, match="Expected"):
            cost(measured)


@pytest.mark.parametrize("seconds, epochs, expected", [
    (620, Epochs(100), Schedule(12, 100)),
    (620, Epochs(250, fewest=20), Schedule(20, 60)),       # shorter epochs, so that the learning rate falls often
    (20_000, Epochs(250, fewest=20), Schedule(160, 249)),
    (620, Epochs(87, shortest=87), Schedule(13, 92)),      # an epoch is a pass over the cases, or more
    (40, Epochs(100), Schedule(1, 40)),
    (40, Epochs(87, shortest=87), None),                   # not one epoch
    (15, Epochs(100), None),                               # not even the start
])
def test_the_schedule_fills_the_budget(seconds, epochs, expected):
    price = Cost(20, 0.5)
    found = fitting(seconds, price, epochs)
    assert found == expected
    if found:
        assert seconds - price.per_step * found.epochs < price.seconds(found.steps) <= seconds


def test_what_processes_use_that_a_command_leaves_behind_counts_and_a_failed_one_quotes_its_log(tmp_path):
    """In a process of its own, which becomes the parent of what is left behind."""
    script = tmp_path / "script.py"
    script.write_text("""
import sys
from pathlib import Path
from rivals import usage
busy = "import time\\nend = time.process_time() + 0.6\\nwhile time.process_time() < end: pass"
left = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {busy!r}])"
print(usage.run([sys.executable, "-c", left], Path("log"), {}).cpu_seconds)
usage.run([sys.executable, "-c", "print('no such network'); raise SystemExit(3)"], Path("log"), {})
""")
    ran = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True,
                         env={"PYTHONPATH": str(ROOT / "bench")})
    assert float(ran.stdout) >= 0.6, ran.stderr
    assert "ended with 3; the end of log:" in ran.stderr and ran.stderr.endswith("no such network\n")


def a_row(tool, dice, peak, fold=0, **further):
    part = {"cpu_seconds": 600.0, "wall_seconds": 700.0, "peak_mib": peak}
    metrics = {"dice": {"Anterior": dice, "Posterior": dice}, "hd95_mm": {"Anterior": [1.0] * len(dice)},
               "nsd_1mm": {"Anterior": [0.9] * len(dice)}}
    return {"tool": tool, "dataset": "hippocampus", "fold": fold, "budget_core_minutes": 10, "parameters": 1000,
            "steps": 500, "training": part, "prediction": part,
            "cases": [f"case{fold}-{number}" for number in range(len(dice))], **metrics, **further}


def test_the_verdict_asks_for_intervals_above_zero_half_the_memory_and_all_rows():
    better, worse = list(np.linspace(0.88, 0.9, 20)), list(np.linspace(0.86, 0.885, 20))
    rows = [a_row("ours", better, 1000.0), a_row("mist", worse, 2500.0), a_row("nnunet", better, 2500.0),
            a_row("dynunet", worse, 1500.0)]
    found = report.summary(rows, list(TOOLS))
    ok = {figure["rival"]: figure["ok"] for figure in found["figures"]}
    assert ok == {"mist": True, "nnunet": False, "dynunet": False}
    assert [figure["difference"] for figure in found["figures"]] == [0.0175, 0.0, 0.0175]
    assert not found["ok"]
    assert "hippocampus, 10 core-minutes, ours-2" in found["missing"]
    assert "hippocampus, 10 core-minutes, mist" not in found["missing"]
    assert "acdc, 60 core-minutes, mist" in found["missing"]


def test_the_table_pools_folds_and_names_what_a_tool_cannot(tmp_path):
    rows = [a_row("ours", [0.9, 0.8], 1000.0), a_row("ours", [0.7, 0.8], 1200.0, fold=1),
            a_row("mist", [0.8, 0.8], 2000.0),
            {"tool": "nnunet", "dataset": "acdc", "fold": 0, "budget_core_minutes": 60, "cannot": "crashes"}]
    for row in rows:
        append(tmp_path / "rows.jsonl", row)
    text = report.tables(lines(tmp_path / "rows.jsonl"), TITLES)
    ours = next(line for line in text.splitlines() if line.startswith("| ours, one network"))
    assert "| 4 | 0.8000 | 0.8000 | 0.8000 [" in ours and "| 1,200 |" in ours
    assert "| 2 | 0.8000 | 0.8000 | 0.8000 [" in text and "+0.0500 [" in text
    assert text.endswith("- nnU-Net, 3D, acdc, fold 0, 60 core-minutes: crashes")
    report.draw(rows, TITLES, tmp_path)
    assert "ours, one network" in (tmp_path / "hippocampus.svg").read_text()


def test_what_is_recorded_is_whole():
    trials = lines(RECORDS / "trials.jsonl")
    assert all({"kind", "dataset", "fold", "steps", "training"} <= set(trial) for trial in trials)
    assert all(trial["training"]["cpu_seconds"] > 0 for trial in trials)
    for row in (row for row in lines(RECORDS / "rows.jsonl") if "cannot" not in row):
        assert row["tool"] in TOOLS
        assert all(len(values) == len(row["cases"]) for values in row["dice"].values())
        assert row["training"]["cpu_seconds"] > 0 and row["parameters"] > 0
