"""Models that the tests of inference use, trained once."""

from __future__ import annotations

import dataclasses
import json
import shutil

import checked
import made
import pytest
import tiny
from pocketnet.contracts.plan import Plan
from pocketnet.contracts.splits import Splits
from pocketnet.preprocessing import geometry, store
from pocketnet.preprocessing.case import prepare_label
from pocketnet.preprocessing.label_maps import map_labels
from pocketnet.preprocessing.scan import PreparedScan, read_scan
from pocketnet.training.run import Choice, train

LABELS = [{"name": "Anterior", "value": 1, "source_values": [1]},
          {"name": "Posterior part", "value": 2, "source_values": [2]}]
REAL_CASES = 8


def make_stores(folder, data, manifest, plan):
    for entry in manifest.cases:
        prepared = PreparedScan(read_scan([data / name for name in entry.images]), plan.preprocessing).compute()
        label = map_labels(geometry.read(data / entry.label, label=True).data, plan.labels)
        store.write_store(folder, entry.case, list(plan.modalities), prepared, prepare_label(label, prepared),
                          {label.name: label.value for label in plan.labels})


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """A made dataset of two modalities, and models of two folds, good enough to find the balls."""
    folder = tmp_path_factory.mktemp("inference")
    manifest = tiny.dataset(folder / "data")
    checked.write_json(folder / "manifest.json", manifest, "manifest")
    plan = tiny.plan(epochs=6, steps_per_epoch=20, augmentation={"flip": 0.5, "noise": 0.0, "blur": 0.0})
    # Batch statistics need more steps than this to settle.
    plan = dataclasses.replace(plan, network=dataclasses.replace(plan.network, norm="instance"))
    make_stores(folder / "stores", folder / "data", manifest, plan)
    for fold, name in ((0, "model"), (1, "model1")):
        train(plan, tiny.splits(), [folder / "stores"], Choice("unet", "pocket", fold), folder / name,
              folder / "checkpoints")
    return folder


@pytest.fixture(scope="session")
def hippocampus_model(hippocampus_data, tmp_path_factory):
    """A small model of one modality, trained for a moment on real hippocampus images, with batch normalisation."""
    folder = tmp_path_factory.mktemp("hippocampus")
    index = json.loads((hippocampus_data / "dataset.json").read_text())["training"][:REAL_CASES]
    names = [entry["image"].split("/")[-1][: -len(".nii.gz")] for entry in index]
    value = tiny.plan(epochs=3, steps_per_epoch=25, patch=[32, 32, 32],
                      augmentation={"flip": 0.0, "noise": 0.0, "blur": 0.0}).to_json()
    value |= {"dataset": "hippocampus", "modalities": ["MRI"], "labels": LABELS}
    value["network"]["channels"] = 1
    value["inference"]["largest_component"] = False
    plan = Plan.from_json(value)
    manifest = made.manifest([made.case(name) | {"images": [entry["image"]], "label": entry["label"]}
                              for name, entry in zip(names, index, strict=True)])
    make_stores(folder / "stores", hippocampus_data, manifest, plan)
    constants = [{"modality": "MRI", "mean": 160.0, "std": 50.0, "p0_5": 60.0, "p99_5": 260.0}]
    splits = Splits.from_json({"dataset": "hippocampus", "rule": "by hand", "seed": 7, "folds": [
        {"fold": 0, "train": names[2:-1], "validation": names[-1:], "test": names[:2], "intensity": constants}]})
    train(plan, splits, [folder / "stores"], Choice("unet", "pocket", 0), folder / "model", folder / "checkpoints")
    return folder / "model"


@pytest.fixture
def model(hippocampus_model, tmp_path):
    """A copy of the real-data model's folder, for a test to spoil."""
    return shutil.copytree(hippocampus_model, tmp_path / "model")


@pytest.fixture
def image(hippocampus_data):
    """A real hippocampus image that the model was not trained on."""
    return hippocampus_data / "imagesTr" / "hippocampus_190.nii.gz"
