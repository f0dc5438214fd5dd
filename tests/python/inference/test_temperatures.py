"""Temperatures of trained networks: found on validation cases, kept in the model folder, used for probability maps."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from pocketnet.cli.infer import main
from pocketnet.contracts.labels import probability_map
from pocketnet.contracts.splits import Splits
from pocketnet.errors import DataError
from pocketnet.evaluation import temperature
from pocketnet.inference import find_temperatures, temperatures
from pocketnet.inference.export import export
from pocketnet.training.model_folder import ModelFolder, write_checksums


def of(work, splits=None, log=lambda line: None):
    return find_temperatures.Validation(splits or tiny.splits(), [work / "stores"], log=log)


@pytest.fixture(scope="module")
def found(work):
    models = [ModelFolder.open(work / name) for name in ("model", "model1")]
    lines = []
    return models, find_temperatures.find(models, of(work, log=lines.append), 1), lines


def scaled(work, found, target, predictions=None):
    """A copy of the first model's folder with temperatures, and perhaps another number of predictions in them."""
    shutil.copytree(work / "model", target)
    value = found[1].to_json()
    value |= {"predictions": predictions or 1}
    (target / temperatures.FILE).write_text(json.dumps({"schema_version": 1, "kind": "temperatures"} | value))
    write_checksums(target)
    return target


def test_validation_cases_of_each_fold_give_one_temperature_per_label(work, found):
    models, known, lines = found
    assert known.run_keys == tuple(model.provenance.run_key for model in models)
    validation = [case for fold in (0, 1) for case in tiny.splits().fold(fold).validation]
    assert known.cases == len(validation) and [line.split(", ")[-1] for line in lines] == validation
    for one, label in zip(known.labels, models[0].labels, strict=True):
        assert one.label == label.name and 0.1 <= one.temperature <= 10 and one.cases == known.cases
        assert one.before.ece >= 0 and one.after is not None
    assert "temperature" in find_temperatures.in_words(known)


def test_the_probabilities_are_those_of_pocket_infer(work, found):
    """The logits that are counted are those of the maps, so the label map of the counts is that of the case."""
    from pocketnet.inference.stored import StorePredictor
    from pocketnet.preprocessing.store import open_stores

    model = found[0][0]
    case = tiny.splits().fold(0).validation[0]
    store, predictor = open_stores([work / "stores"])[case], StorePredictor(model)
    counts = find_temperatures.counts_of(predictor, store, predictor.tiling(store, "plan"), False)
    classes = predictor(store)
    for label in model.labels:
        sure = counts[label.name].voxels[temperature.LOGITS > 0].sum()
        assert counts[label.name].voxels.sum() == classes.size
        assert sure <= (classes == label.value).sum() <= counts[label.name].voxels[temperature.LOGITS > -2].sum()


def test_maps_are_calibrated_and_the_label_map_stays(work, found, tmp_path):
    calibrated = scaled(work, found, tmp_path / "calibrated")
    out = {}
    for name, model in (("plain", work / "model"), ("calibrated", calibrated)):
        ran = CliRunner().invoke(main, ["--model", str(model), "--manifest", str(work / "manifest.json"), "--input",
                                        str(work / "data"), "--probabilities", "--json", "-o", str(tmp_path / name)])
        assert ran.exit_code == 0, ran.output
        out[name] = json.loads(ran.stdout), {path.name: nib.load(path).get_fdata()
                                             for path in sorted((tmp_path / name).glob("*.nii.gz"))}
    assert out["calibrated"][0]["probabilities"] == {"calibrated": True, "reason": ""}
    assert "no temperatures" in out["plain"][0]["probabilities"]["reason"]
    maps = [name for name in out["plain"][1] if "probability" in name]
    assert maps
    for name in out["plain"][1]:
        before, after = out["plain"][1][name], out["calibrated"][1][name]
        if name not in maps:
            assert (before == after).all()
            continue
        label = next(one for one, own in zip(found[1].labels, found[0][0].labels, strict=True)
                     if name == probability_map(name.split("_probability")[0], own))
        inside = (before > 0.02) & (before < 0.98)
        expected = temperature.calibrated(before[inside].astype(np.float32),
                                          temperature.Scaling(label.temperature, label.bias))
        assert np.abs(after[inside] - expected).max() < 0.02 and (before[inside] != after[inside]).any()


def test_they_do_not_count_for_what_they_are_not_of(work, found, tmp_path):
    folder = scaled(work, found, tmp_path / "mirrored", predictions=4)
    assert "4 averaged predictions" in temperatures.why_none([ModelFolder.open(folder)], 1)
    assert "several models" in temperatures.why_none(found[0], 2)
    shutil.copy(folder / temperatures.FILE, shutil.copytree(work / "model1", tmp_path / "other") / temperatures.FILE)
    value = json.loads((tmp_path / "other" / temperatures.FILE).read_text())
    value["run_keys"] = value["run_keys"][:1]
    (tmp_path / "other" / temperatures.FILE).write_text(json.dumps(value))
    write_checksums(tmp_path / "other")
    with pytest.raises(DataError, match="another network"):
        temperatures.of_model(ModelFolder.open(tmp_path / "other"))


def test_an_export_keeps_them(work, found, tmp_path):
    folder = scaled(work, found, tmp_path / "calibrated")
    export(ModelFolder.open(folder), tmp_path / "out", ["openvino"])
    assert temperatures.of_model(ModelFolder.open(folder)) == found[1]
    assert (tmp_path / "out" / temperatures.FILE).read_bytes() == (folder / temperatures.FILE).read_bytes()


def test_splits_of_another_training_are_refused(work, found):
    value = tiny.splits().to_json()
    value["dataset"] = "another"
    with pytest.raises(DataError, match="another fold than that of these splits"):
        find_temperatures.find(found[0], of(work, Splits.from_json(value)), 1)


def test_a_single_case_gives_none(work, found):
    value = tiny.splits().to_json()
    for fold in value["folds"]:
        fold["validation"] = fold["validation"][:1]
    lines = []
    assert find_temperatures.find(found[0][:1], of(work, Splits.from_json(value), lines.append), 1) is None
    assert "fewer than 2 validation cases" in lines[-1]
