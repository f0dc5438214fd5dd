"""An experiment of the paper from end to end, and the trainings that another shares with it."""

import csv
import json

import pytest
from running import Pipeline

pytestmark = pytest.mark.slow
OPTIONS = ("-profile", "test", "--fold", "0", "--skip_profile", "--cases_per_task", "6", "--patch", "16")


def test_ablation_ends_in_a_table_and_a_figure_and_shares_its_ends(clone, made_data, tmp_path):
    pipeline = Pipeline(clone, tmp_path, (*OPTIONS, "--input", str(made_data)), text=True)
    done = pipeline.run("--experiment", "ablation")
    assert done.returncode == 0, done.stdout
    out = tmp_path / "results/demo/experiments/ablation"
    for name in ("table.md", "table.csv", "figure.svg", "figure.png", "experiment.json"):
        assert (out / name).is_file() and f"{out}/{name}" in done.stdout
    with open(out / "table.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["width"], row["stops_after_depth"]) for row in rows] == [
        ("full", "0"), ("capped32", "1"), ("pocket", "2")]
    with open(out / "comparison/comparison.csv", newline="") as handle:
        compared = {row["width"]: row for row in csv.DictReader(handle)
                    if (row["label"], row["metric"]) == ("mean", "dice")}
    assert [row["dice_mean"] for row in rows] == [compared[row["width"]]["mean"] for row in rows]
    networks = json.loads((out / "experiment.json").read_text())["networks"]
    assert {network["width"] for network in networks} == {"full", "capped32", "pocket"}
    assert (out / "models/unet-capped32/fold0/model.keras").is_file()
    assert not (tmp_path / "results/demo/models").exists()

    statuses = pipeline.finish("--experiment", "activations", "-resume")
    trained = {name: status for name, status in statuses.items() if name.startswith(("TRAIN", "PREPROCESS", "INFER"))}
    assert len(trained) == 5 and trained == dict.fromkeys(trained, "CACHED")
    measured = json.loads((tmp_path / "results/demo/experiments/activations/experiment.json").read_text())
    assert len(measured["table"]) == 16 and set(measured["table"][0]) == {"rank", "U-Net full", "U-Net pocket"}
