"""pocket-experiment on a finished run's files: what it writes, where it is from, and what it refuses."""

import json

import checked
import fake_run
import numpy as np
import pandas as pd
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image
from pocketnet.cli.experiment import main
from pocketnet.evaluation import cases, table
from pocketnet.evaluation.comparison import compare
from pocketnet.experiments import definition
from pocketnet.experiments.outcome import FILES
from pocketnet.preprocessing import geometry

MANIFEST = {"dataset": "hippocampus", "layout": "decathlon", "dimensions": 3, "modalities": ["MRI"],
            "labels": fake_run.LABELS, "preprocessing": fake_run.PLAN["preprocessing"],
            "cases": [{"case": "case_0_00", "images": ["i.nii.gz"], "label": "l.nii.gz", "sha256": {}}]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder with two widths."""
    root = fake_run.write_run(tmp_path_factory.mktemp("run"))
    checked.write_json(root / "manifest.json", MANIFEST, "manifest")
    checked.write_json(root / "plan.json", fake_run.PLAN, "plan")
    splits = {"dataset": "hippocampus", "rule": "by hand", "seed": 1, "folds": [
        {"fold": 0, "train": ["a"], "validation": ["b"], "test": ["c"],
         "intensity": [{"modality": "MRI", "mean": 0, "std": 1, "p0_5": 0, "p99_5": 1}]}]}
    checked.write_json(root / "splits.json", splits, "splits")
    return root


def draw(root, name, *more, code=0):
    done = CliRunner().invoke(main, [name, "--manifest", str(root / "manifest.json"), "--plan", str(root / "plan.json"),
                                     "--splits", str(root / "splits.json"), *map(str, more), "-o", str(root / name)])
    assert done.exit_code == code, done.output
    return done


def test_writes_table_figure_and_origin(run):
    draw(run, "accuracy", "--comparison", run / "comparison", "--models", run / "models",
         "--evaluations", run / "evaluation")
    out = run / "accuracy"
    assert fake_run.written(out) == sorted(FILES)
    rows = pd.read_csv(out / "table.csv")
    pocket = rows[(rows["source"] == "ours") & (rows["label"] == "mean") & (rows["width"] == "pocket")].iloc[0]
    values = table.read(run / "comparison/metrics.csv").query("width == 'pocket'").groupby(["case", "fold"])["dice"]
    assert pocket["dice_mean"] == pytest.approx(values.mean().mean(), abs=1e-5)
    page = (out / "table.md").read_text()
    assert "LiTS (published)" in page and "![Figure](figure.svg)" in page and "not that there is none" in page
    assert Image.open(out / "figure.png").size[0] > 600
    assert "<svg" in (out / "figure.svg").read_text()[:1000]
    origin = checked.read_json(out / "experiment.json", "experiment")
    assert origin["code"]["train"] == ["c0de"] and origin["recipe"] == "quick" and origin["paper"].startswith("Table I")
    assert origin["networks"][0] == {"arch": "unet", "width": "full", "parameters": 5_642_306, "steps": 120,
                                     "folds": [0, 1], "run_keys": ["unet-full-0", "unet-full-1"]}
    assert len(origin["table"]) == len(rows)


def test_the_same_files_give_the_same_figure(run):
    options = ("--comparison", run / "comparison", "--evaluations", run / "evaluation")
    draw(run, "ablation", *options)
    first = {name: (run / "ablation" / name).read_bytes() for name in FILES}
    draw(run, "ablation", *options)
    assert first == {name: (run / "ablation" / name).read_bytes() for name in FILES}


def test_measurements_are_told_apart_by_their_kind(run):
    paths = [fake_run.write_profile(run / f"{width}.json", width) for width in ("full", "pocket")]
    draw(run, "profile", "--measured", paths[0], "--measured", paths[1])
    rows = json.loads((run / "profile/experiment.json").read_text())["table"]
    assert [row["width"] for row in rows] == ["full", "pocket"] and rows[1]["time_saving_percent"] == 0


def test_refusals(run):
    assert "accuracy, throughput" in draw(run, "acuracy", code=2).output
    assert "--comparison" in draw(run, "ablation", code=2).output
    assert "There is no measurement here" in draw(run, "profile", "--measured", run / "x.json", code=2).output
    (run / "bad.json").write_text("{")
    assert "is not JSON" in draw(run, "profile", "--measured", run / "bad.json", code=3).output
    assert not (run / "acuracy").exists()


def test_help_names_the_experiments():
    text = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    assert ", ".join(definition.names()) in text


def test_multiclass_shows_the_median_case(tmp_path):
    manifest = tiny.dataset(tmp_path / "data", cases=3)
    checked.write_json(tmp_path / "manifest.json", manifest, "manifest")
    tiny.plan().write(tmp_path / "plan.json")
    checked.write_json(tmp_path / "splits.json", tiny.splits(), "splits")
    record = fake_run.provenance("pocket", 0, "densenet", dataset="balls")
    rows = []
    for index, case in enumerate(manifest.cases):
        grid = geometry.read(tmp_path / "data" / case.label, label=True).grid
        _, label = tiny.volume(index)
        found = np.roll(label, index, axis=0)  # the first is right, the last the worst
        geometry.write_image(tmp_path / "predictions" / f"{case.case}.nii.gz", found, grid)
        rows += [{"case": case.case, **table.of_run(record), **row}
                 for row in cases.measure_case(label, found, grid.spacing, manifest.labels)]
    frame = pd.DataFrame(rows)
    table.write_metrics(tmp_path / "evaluation/metrics.csv", frame)
    checked.write_json(tmp_path / "comparison/comparison.json", compare(frame.assign(file="x")), "comparison")
    draw(tmp_path, "multiclass", "--comparison", tmp_path / "comparison", "--evaluations", tmp_path / "evaluation",
         "--predictions", tmp_path / "predictions", "--input", tmp_path / "data")
    origin = checked.read_json(tmp_path / "multiclass/experiment.json", "experiment")
    assert origin["settings"]["pictured"] == "case_1"
    assert [row["label"] for row in origin["table"]] == ["ball", "core", "mean"]
    core = frame[frame["label"] == "core"]["dice"].mean()
    assert origin["table"][1]["dice_mean"] == pytest.approx(core)
    picture = np.asarray(Image.open(tmp_path / "multiclass/figure.png").convert("RGB")).reshape(-1, 3).astype(int)
    orange = (picture[:, 0] > picture[:, 2] + 60).sum()  # the first label's colour, over the grey image
    assert orange > 1000
