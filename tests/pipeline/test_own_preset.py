"""A preset file of one's own, on a table of images, with two members a fold, through the whole pipeline.

`tests/python/test_every_preset.py` takes our own presets through the steps.
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


@pytest.fixture(scope="module")
def own(clone, tmp_path_factory) -> Pipeline:
    """A finished run on a table of images, with two members a fold; every task of it has run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "data").mkdir()
    MAKERS["csv_table"](REAL, folder / "data")
    (folder / "lesions.json").write_text(json.dumps(OWN))
    pipeline = Pipeline(clone, folder, (*TINY, "--input", str(folder / "data"), "--folds", "3", "--dataset",
                                        "lesions.json", "--members", "2"), text=True)
    statuses = pipeline.finish()
    assert set(statuses.values()) == {"COMPLETED"}
    return pipeline


def test_results_lie_as_their_images_and_the_presets_preprocessing_was_used(own):
    data, results = own.folder / "data", own.folder / "results/lesions"
    manifest = json.loads((results / "dataset/manifest.json").read_text())
    images = {entry["case"]: entry["images"][0].split("[")[0] for entry in manifest["cases"]}
    folds = json.loads((results / "plan/splits.json").read_text())["folds"]
    assert [fold["test"] for fold in folds] == [["BraTS-GLI-00000-000"]]  # as listed, whatever --folds says
    for case in folds[0]["test"]:
        image = nib.load(data / images[case])
        suffix = images[case].partition(".")[2]  # a result is called as its image is
        found = nib.load(results / f"predictions/unet-pocket/fold0/{case}.{suffix}")
        assert found.shape == image.shape[:3]
        np.testing.assert_allclose(found.affine, image.affine)
    plan = json.loads((results / "plan/plan.json").read_text())
    assert plan["dataset"] == "lesions"
    assert plan["preprocessing"]["spacing_mm"] == pytest.approx([1.5] * 3)
    assert (results / "report.html").is_file()


def test_members_of_a_fold_count_as_one_network(own):
    steps = [name.split(" ")[0] for name in own.statuses()]
    assert (steps.count("TRAIN"), steps.count("ENSEMBLE"), steps.count("EVALUATE")) == (2, 1, 1)
    whole = own.provenance(dataset="lesions")
    results = own.folder / "results/lesions"
    folder = results / "models/unet-pocket"
    assert [path.name for path in folder.iterdir()] == ["fold0"]
    members = [json.loads((folder / f"fold0/member{n}.provenance.json").read_text()) for n in (1, 2)]
    assert [member["seed"] for member in members] == [12345, 12346]
    assert members[0]["run_key"] != members[1]["run_key"]
    rows = own.metrics("lesions")
    assert {(int(row["parameters"]), int(row["steps"]), row["run_key"]) for row in rows} == {
        (2 * members[0]["parameters"], 2 * members[0]["steps"], whole["run_key"])}
    assert "trained, but not evaluated" not in (results / "report.html").read_text()


def test_another_outdir_repeats_nothing_but_the_tracking_there(own):
    done = own.run("-resume", "--outdir", "elsewhere")
    assert done.returncode == 0, done.stdout
    assert (own.folder / "elsewhere/lesions/models/unet-pocket/fold0/model.keras").is_file()
    again = {name.split(" ")[0] for name, status in own.statuses("elsewhere").items() if status != "CACHED"}
    assert again == {"VERSIONS", "COLLECT"}
