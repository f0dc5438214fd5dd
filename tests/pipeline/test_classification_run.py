"""The pipeline on real X-rays, few and made small: the same workflow as for segmentation, another task."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest
from running import REPOSITORY, Pipeline

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def xrays(tmp_path_factory) -> Path:
    """8 positive and 16 negative X-rays with their table."""
    root = Path(os.environ.get("POCKET_TEST_DATA") or REPOSITORY.parent / "shared/data") / "ChestXray_covid"
    if not root.is_dir():
        pytest.skip(f"no real images at {root} (set POCKET_TEST_DATA)")
    folder = tmp_path_factory.mktemp("xrays")
    (folder / "images").mkdir()
    with open(root / "labels.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    chosen = [row for name, most in (("positive", 8), ("negative", 16))
              for row in [row for row in rows if row["class"] == name][:most]]
    with open(folder / "labels.csv", "w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen)
    for row in chosen:
        shutil.copyfile(root / "images" / row["filename"], folder / "images" / row["filename"])
    return folder


def test_pocket_against_full_on_xrays(clone, xrays, tmp_path):
    pipeline = Pipeline(clone, tmp_path, ("--dataset", "chestxray", "--input", str(xrays), "--folds", "2", "--patch",
                                          "64", "--epochs", "2", "--steps_per_epoch", "2", "--batch", "8",
                                          "--skip_profile"), text=True)
    statuses = pipeline.finish()
    assert set(statuses.values()) == {"COMPLETED"} and sum(name.startswith("TRAIN") for name in statuses) == 4
    results = tmp_path / "results/chestxray"
    for width in ("pocket", "full"):
        seen = []
        for fold in (0, 1):
            with open(results / f"predictions/classifier-{width}/fold{fold}/predictions.csv", newline="") as handle:
                seen += [row["case"] for row in csv.DictReader(handle)]
        assert len(seen) == len(set(seen)) == 24
    comparison = json.loads((results / "comparison/comparison.json").read_text())
    assert [(row["width"], row["parameters"]) for row in comparison["networks"]] == [
        ("full", 1_178_994), ("pocket", 21_074)]
    assert {pair["metric"]: pair["n"] for pair in comparison["pairs"]}["auc"] == 24
    assert any("different hospitals" in note for note in comparison["notes"])
    report = (results / "report.html").read_text()
    assert "ROC curves: positive" in report and "different hospitals" in report
