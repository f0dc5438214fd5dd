"""Presets are data: the shipped ones keep to their schema, a person's own is read the same way."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from pocketnet.contracts.labels import Label
from pocketnet.datasets import labels, layouts, presets
from pocketnet.errors import UsageError

REPOSITORY = Path(__file__).resolve().parents[3]
SHIPPED = json.loads((presets.HERE / "presets.json").read_text())
SCHEMA = json.loads((presets.HERE / "preset.schema.json").read_text())
DECATHLON = {"Anterior": (1,), "Posterior": (2,)}


@pytest.mark.parametrize("name", presets.names())
def test_shipped_presets_keep_to_the_schema(name):
    jsonschema.validate(SHIPPED[name], SCHEMA, jsonschema.Draft202012Validator)
    preset = presets.load(name)
    assert preset.name == name and (preset.files or preset.layout in layouts.LAYOUTS)
    assert (preset.label_sets is None) == (preset.default_labels is None)
    assert set(preset.preprocessing) >= {"crop", "normalisation", "spacing_mm"}
    assert layouts.describe(preset)


def own(tmp_path: Path, **changes) -> Path:
    path = tmp_path / "lesions.json"
    path.write_text(json.dumps(SHIPPED["brats"] | changes))
    return path


def test_a_preset_of_ones_own(tmp_path):
    preset = presets.load(own(tmp_path, modalities=["dwi"], label_sets={"all": {"lesion": [1]}},
                              default_labels="all"))
    assert (preset.name, preset.layout, preset.modalities) == ("lesions", "brats", ("dwi",))
    assert labels.choose(None, preset, None) == {"lesion": (1,)}


@pytest.mark.parametrize(("changes", "said"), [
    ({"modalities": "flair"}, "$.modalities"),
    ({"label_sets": {"all": {"lesion": [0]}}}, "$.label_sets.all.lesion"),
    ({"default_labels": "nothing"}, "$.default_labels"),
    ({"colour": "blue"}, "colour"),
    ({"files": {"images": {"CT": "scan"}, "label": "{case}_seg"}}, "$.files.images.CT"),
    ({"preprocessing": SHIPPED["lits"]["preprocessing"] | {"spacing_mm": {"median": 1}}}, "$.preprocessing.spacing_mm"),
])
def test_a_bad_preset_is_refused(tmp_path, changes, said):
    with pytest.raises(UsageError, match="not a preset") as error:
        presets.load(own(tmp_path, **changes))
    assert said in error.value.what


def test_an_unknown_name_says_the_nearest():
    with pytest.raises(UsageError) as error:
        presets.load("Brats")
    assert "Did you mean brats?" in error.value.todo and "demo, hippocampus, brats" in error.value.todo
    with pytest.raises(UsageError) as error:
        presets.load("spleen")
    assert "Did you mean" not in error.value.todo


@pytest.mark.parametrize(("dataset", "text", "expected"), [
    ("brats", None, {"whole tumor": (1, 2, 3, 4)}),
    ("brats", "multiclass", {"necrosis": (1,), "edema": (2,), "non-enhancing": (3,), "enhancing": (4,)}),
    ("brats", "core=1+3+4,edema=2", {"core": (1, 3, 4), "edema": (2,)}),
    ("brats", " enhancing tumour = 4 ", {"enhancing tumour": (4,)}),
    ("hippocampus", None, DECATHLON),
    ("hippocampus", "hippocampus=1+2", {"hippocampus": (1, 2)}),
])
def test_choose_labels(dataset, text, expected):
    folder = labels.Classes(DECATHLON) if dataset == "hippocampus" else None
    assert labels.choose(text, presets.load(dataset), folder) == expected


@pytest.mark.parametrize("text", ["core=", "=1", "core=1.5", "core=1,core=2", "core=0", "core=5", "core=1+1",
                                  "nothing"])
def test_labels_that_are_refused(text):
    with pytest.raises(UsageError):
        labels.choose(text, presets.load("brats"), None)


def test_classes_are_numbered_without_gaps():
    assert labels.as_manifest(labels.Classes({"edema": (2,), "core": (1, 4)}), 1) == (
        Label("edema", 1, (2,)), Label("core", 2, (1, 4)))


def test_the_documents_example_is_a_preset(tmp_path):
    text = (REPOSITORY / "docs/datasets.md").read_text()
    example = text.split("```json\n")[1].split("```")[0]
    (tmp_path / "lesions.json").write_text(example)
    preset = presets.load(tmp_path / "lesions.json")
    for name in ("p1/flair.nii.gz", "p1/t1.nii", "masks/p1_lesion.nii.gz", "p1/dwi.nii.gz"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    listing = layouts.scan(tmp_path / "data", preset)
    assert [case.name for case in listing.cases] == ["p1"] and not listing.problems and not listing.missing_labels
