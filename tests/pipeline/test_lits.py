"""LiTS, with two members a fold, and a preset file of one's own through the whole pipeline, on a layout made small.

`tests/python/test_every_preset.py` takes every other preset through the steps.
"""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from public_layouts import MAKERS
from running import REPOSITORY, Pipeline

pytestmark = pytest.mark.slow
REAL = Path(os.environ.get("POCKET_TEST_DATA") or REPOSITORY.parent / "shared/data")
TINY = ("-profile", "test", "--width", "pocket", "--fold", "0", "--skip_profile", "--epochs", "1",
        "--cases_per_task", "20")
OWN = {"title": "Tumours in a table", "layout": "csv", "modalities": ["FLAIR", "T1ce"],
       "label_sets": {"tumor": {"tumor": [1, 2, 3, 4]}}, "default_labels": "tumor",
       "preprocessing": {"crop": "nonzero", "normalisation": "zscore", "spacing_mm": [1.5, 1.5, 1.5]},
       "source": {"where": "here", "licence": "internal"}}


def run(clone, folder: Path, layout: str, preset: dict | None = None, more: tuple[str, ...] = ()) -> Pipeline:
    """Run the pipeline on a layout, whose data go to `data` in the folder; every task of it must have run."""
    data = folder / "data"
    data.mkdir()
    options = MAKERS[layout](REAL, data)
    if preset:
        (folder / "lesions.json").write_text(json.dumps(preset))
        options = ["--dataset", "lesions.json"]
    pipeline = Pipeline(clone, folder, (*TINY, "--input", str(data), "--folds", "3", *options, *more), text=True)
    statuses = pipeline.finish()
    assert set(statuses.values()) == {"COMPLETED"}
    return pipeline


def check_results(pipeline: Pipeline, dataset: str, spacing) -> None:
    """Each test case's label map has its image's geometry, and the preset's preprocessing was used."""
    data, results = pipeline.folder / "data", pipeline.folder / "results" / dataset
    manifest = json.loads((results / "dataset/manifest.json").read_text())
    images = {entry["case"]: entry["images"][0].split("[")[0] for entry in manifest["cases"]}
    fold = json.loads((results / "plan/splits.json").read_text())["folds"][0]
    for case in fold["test"]:
        image = nib.load(data / images[case])
        suffix = images[case].partition(".")[2]  # a result is called as its image is
        found = nib.load(results / f"predictions/unet-pocket/fold0/{case}.{suffix}")
        assert found.shape == image.shape[:3]
        np.testing.assert_allclose(found.affine, image.affine)
    plan = json.loads((results / "plan/plan.json").read_text())
    assert plan["dataset"] == dataset
    assert plan["preprocessing"]["spacing_mm"] == (spacing and pytest.approx(spacing))
    assert (results / "report.html").is_file()


@pytest.fixture(scope="module")
def lits(clone, tmp_path_factory) -> Pipeline:
    """A finished run on LiTS, with two members a fold."""
    return run(clone, tmp_path_factory.mktemp("lits"), "lits", more=("--members", "2"))


def test_lits(lits):
    check_results(lits, "lits", [3, 3, 5.1])


def test_members_of_a_fold_count_as_one_network(lits):
    steps = [name.split(" ")[0] for name in lits.statuses()]
    assert (steps.count("TRAIN"), steps.count("ENSEMBLE"), steps.count("EVALUATE")) == (2, 1, 1)
    whole = lits.provenance(dataset="lits")
    results = lits.folder / "results/lits"
    folder = results / "models/unet-pocket"
    assert [path.name for path in folder.iterdir()] == ["fold0"]
    members = [json.loads((folder / f"fold0/member{n}.provenance.json").read_text()) for n in (1, 2)]
    assert [member["seed"] for member in members] == [12345, 12346]
    assert members[0]["run_key"] != members[1]["run_key"]
    rows = lits.metrics("lits")
    assert {(int(row["parameters"]), int(row["steps"]), row["run_key"]) for row in rows} == {
        (2 * members[0]["parameters"], 2 * members[0]["steps"], whole["run_key"])}
    assert "trained, but not evaluated" not in (results / "report.html").read_text()


def test_members_are_not_trained_again(lits):
    statuses = lits.finish("-resume")
    assert {name.split(" ")[0] for name, status in statuses.items() if status != "CACHED"} == {"VERSIONS"}


def test_a_preset_file_of_ones_own_and_a_table(clone, tmp_path):
    check_results(run(clone, tmp_path, "csv_table", OWN), "lesions", [1.5] * 3)
    splits = json.loads((tmp_path / "results/lesions/plan/splits.json").read_text())
    assert [fold["test"] for fold in splits["folds"]] == [["BraTS-GLI-00000-000"]]  # as listed, whatever --folds says
