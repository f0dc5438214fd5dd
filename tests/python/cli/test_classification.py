"""Real X-rays through the commands: both layouts, everything that can be wrong with them, and the whole way."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import subprocess
import sys
from importlib import import_module

import checked
import numpy as np
import pytest
from click.testing import CliRunner
from fake_run import written
from PIL import Image
from pocketnet.errors import DataError
from pocketnet.evaluation import table
from pocketnet.evaluation.classification.table import classes_of
from pocketnet.inference.classifier import Classifier

CHOSEN = {"positive": 8, "negative": 12}


@pytest.fixture(scope="module")
def sources(xray_data):
    """Some real X-rays of each class."""
    with open(xray_data / "labels.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return [(xray_data / "images" / row["filename"], row["class"]) for name, most in CHOSEN.items()
            for row in [row for row in rows if row["class"] == name][:most]]


@pytest.fixture
def xrays(sources, tmp_path):
    """Them with a table of classes, for a test to spoil."""
    folder = tmp_path / "xrays"
    (folder / "images").mkdir(parents=True)
    write_table(folder, [(path.name, name) for path, name in sources])
    for path, _ in sources:
        shutil.copyfile(path, folder / "images" / path.name)
    return folder


@pytest.fixture
def covidx(sources, tmp_path):
    """Them in the layout of COVIDx, each 5th for the test."""
    folder = tmp_path / "covidx"
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
    lines = {"train": [], "test": []}
    for number, (path, name) in enumerate(sources):
        part = "test" if number % 5 == 0 else "train"
        shutil.copyfile(path, folder / part / path.name)
        lines[part].append(f"patient{number // 2}-{part} {path.name} {name} source")
    for part, text in lines.items():
        (folder / f"{part}.txt").write_text("\n".join(text) + "\n")
    return folder


def write_table(folder, rows, header=("filename", "class")):
    with open(folder / "labels.csv", "w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])


def table_of(folder):
    """The rows of a table of classes."""
    with open(folder / "labels.csv", newline="") as handle:
        return list(csv.reader(handle))[1:]


def history(folder):
    """The rows of a model's learning history."""
    with open(folder / "history.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def check(dataset, folder, *more):
    """Exit code and standard error; what is in `out` beside the folder."""
    from pocketnet.cli.check import main

    out = folder.parent / "out"
    ran = CliRunner().invoke(main, ["--dataset", dataset, "--input", str(folder), "-o", str(out), *more])
    if ran.exception and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.exit_code, ran.stderr, out


def plan(out, *more):
    from pocketnet.cli.plan import main

    return CliRunner().invoke(main, ["--manifest", str(out / "manifest.json"), "--fingerprint",
                                     str(out / "fingerprint.json"), "-o", str(out), "--quiet", *more])


def test_a_table_of_classes(xrays):
    code, said, out = check("chestxray", xrays, "--folds", "3")
    assert code == 0, said
    manifest = checked.read_json(out / "manifest.json", "manifest")
    assert manifest["task"] == "classification" and manifest["dimensions"] == 2
    assert [(label["name"], label["value"]) for label in manifest["labels"]] == [("negative", 0), ("positive", 1)]
    assert len(manifest["cases"]) == 20 and "different hospitals" in manifest["caution"]
    first = manifest["cases"][0]
    assert first["label"] is None and first["class"] == "positive" and len(first["sha256"]) == 1
    assert plan(out, "--folds", "3").exit_code == 0
    made = json.loads((out / "plan.json").read_text())
    assert made["training"]["patch"] == made["preprocessing"]["size"] == [256, 256]
    assert made["training"]["batch"] == 32 and made["training"]["loss"] == "cross_entropy"
    assert made["network"]["classes"] == 2 and made["network"]["depth"] == 4 and made["network"]["feature_maps"] == 16


@pytest.mark.parametrize("recipe", ["quick", "paper"])
def test_covidx_keeps_its_test_list(covidx, recipe):
    code, said, out = check("covidx", covidx, "--folds", "5")
    assert code == 0, said
    manifest = checked.read_json(out / "manifest.json", "manifest")
    assert len(manifest["split"]["test"]) == 4 and all(case["group"] for case in manifest["cases"])
    assert plan(out, "--recipe", recipe).exit_code == 0
    splits = checked.read_json(out / "splits.json", "splits")["folds"]
    assert len(splits) == 1 and splits[0]["test"] == manifest["split"]["test"]
    (covidx / "train.txt").rename(covidx / "train_COVIDx9B.txt")
    assert check("covidx", covidx)[0] == 0


def test_everything_that_is_wrong_is_named_at_once(xrays):
    names = sorted(path.name for path in (xrays / "images").iterdir())
    missing, more_missing, broken, text, unlisted, flat = names[:3] + names[-3:]
    (xrays / "images" / missing).unlink()
    (xrays / "images" / more_missing).unlink()
    (xrays / "images" / broken).write_bytes((xrays / "images" / broken).read_bytes()[:2000])
    (xrays / "images" / text).write_text("<html>404</html>")
    Image.new("L", (40, 30), 7).save(xrays / "images" / flat)
    rows = table_of(xrays)
    rows = [row for row in rows if row[0] != unlisted] + [rows[5], ["strange.jpg", "possitive"]]
    write_table(xrays, rows)
    code, said, out = check("chestxray", xrays, "--folds", "3")
    assert code == 3 and written(out) == ["problems.csv"]
    with open(out / "problems.csv", newline="") as handle:
        found = {(row["file"], row["problem"]) for row in csv.DictReader(handle)}
    for file, problem in ((missing, "missing"), (more_missing, "missing"), (broken, "The image cannot be decoded"),
                          (text, "This is not a PNG"), (flat, "empty image"), (rows[5][0], "duplicate: listed in"),
                          ("strange.jpg", "unknown class 'possitive'"), ("strange.jpg", "missing")):
        assert any(where == f"images/{file}" and what.startswith(problem) for where, what in found), (file, problem)
    assert f"not listed, left out: {unlisted}" in said and "did you mean positive?" in said


def test_a_class_with_one_example_and_only_one_class(xrays):
    rows = table_of(xrays)
    first = next(row for row in rows if row[1] == "positive")
    write_table(xrays, [first, *(row for row in rows if row[1] == "negative")])
    code, said, _ = check("chestxray", xrays)
    assert code == 3 and "class 'positive' has 1 example (images of different patients)" in said
    write_table(xrays, [row for row in rows if row[1] == "negative"])
    code, said, _ = check("chestxray", xrays)
    assert code == 3 and "only one class: every image is 'negative'" in said


def test_a_patient_column_is_used(xrays):
    rows = table_of(xrays)
    write_table(xrays, [[*row, f"p{number // 2}"] for number, row in enumerate(rows)], ("filename", "class", "patient"))
    _, _, out = check("chestxray", xrays, "--folds", "2")
    assert plan(out, "--folds", "2").exit_code == 0
    whose = {row[0].rsplit(".", 1)[0]: f"p{number // 2}" for number, row in enumerate(rows)}
    for fold in checked.read_json(out / "splits.json", "splits")["folds"]:
        learned = {whose[case] for case in fold["train"] + fold["validation"]}
        assert not learned & {whose[case] for case in fold["test"]}


def test_covidx_test_list_with_absent_images(covidx):
    with open(covidx / "test.txt", "a") as handle:
        handle.write("p1 gone1.png positive x\np2 gone2.png bad x\noops\n")
    code, said, _ = check("covidx", covidx)
    assert code == 3
    for words in ("test/gone1.png", "test/gone2.png", "unknown class 'bad'", "line 7 is not patient, file, class"):
        assert words in said


def test_the_wrong_layout_says_which_preset_fits(xrays, covidx):
    code, said, _ = check("covidx", xrays)
    assert code == 2 and "image_table layout" in said and "--dataset chestxray" in said
    code, said, _ = check("chestxray", covidx)
    assert code == 2 and "--dataset covidx" in said


def run(name, *arguments, cwd, code=0):
    """Run a command in this process, in a folder."""
    with contextlib.chdir(cwd):
        ran = CliRunner().invoke(import_module(f"pocketnet.cli.{name}").main, [*map(str, arguments)])
    assert ran.exit_code == code, ran.output
    return ran


@pytest.fixture(scope="module")
def work(sources, tmp_path_factory):
    """A pocket classifier trained for four steps on small X-rays, undisturbed."""
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "xrays/images").mkdir(parents=True)
    write_table(folder / "xrays", [(path.name, name) for path, name in sources])
    for path, _ in sources:
        shutil.copyfile(path, folder / "xrays/images" / path.name)
    assert check("chestxray", folder / "xrays")[0] == 0
    assert plan(folder / "out", "--folds", "2", "--patch", "32", "--epochs", "2", "--steps-per-epoch", "2", "--batch",
                "6").exit_code == 0
    run("preprocess", "--manifest", "out/manifest.json", "--plan", "out/plan.json", "--input", "xrays", "-o", "stores",
        cwd=folder)
    train(folder, "whole")
    return folder


def train(folder, name, *more, code=0):
    """Train in a process of its own, since threads and seeds are set before a network is built."""
    ran = subprocess.run([sys.executable, "-m", "pocketnet.cli.train", "--plan", "out/plan.json", "--splits",
                          "out/splits.json", "--stores", "stores", "--threads", "1", "--checkpoints",
                          f"checkpoints-{name}", "-o", f"model-{name}", *more], cwd=folder, text=True,
                         capture_output=True)
    assert ran.returncode == code, ran.stderr
    return ran


def test_a_stopped_training_ends_with_the_same_weights(work):
    from pocketnet.models.build import load

    train(work, "stopped", "--time-limit", "0.01", code=75)
    train(work, "stopped")
    for file in ("model.keras", "last.keras"):
        for a, b in zip(*(load(work / f"model-{name}" / file).get_weights() for name in ("whole", "stopped")),
                        strict=True):
            np.testing.assert_array_equal(a, b)
    rows = [history(work / f"model-{name}") for name in ("whole", "stopped")]
    assert {"validation_auc", "validation_accuracy"} <= rows[0][0].keys() and "validation_dice" not in rows[0][0]
    assert [row["validation_auc"] for row in rows[0]] == [row["validation_auc"] for row in rows[1]]


def test_infer_and_evaluate(work, tmp_path):
    manifest = json.loads((work / "out/manifest.json").read_text())
    test = json.loads((work / "out/splits.json").read_text())["folds"][0]["test"]
    manifest["cases"] = [case for case in manifest["cases"] if case["case"] in test]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    given = ("--manifest", tmp_path / "manifest.json", "--input", work / "xrays")
    probabilities = {}
    for engine in ("openvino", "tensorflow"):
        run("infer", "--model", work / "model-whole", *given, "--engine", engine, "-o", tmp_path / engine, cwd=work)
        with open(tmp_path / engine / "predictions.csv", newline="") as handle:
            probabilities[engine] = [float(row["probability_positive"]) for row in csv.DictReader(handle)]
    np.testing.assert_allclose(probabilities["openvino"], probabilities["tensorflow"], atol=1e-5)
    run("evaluate", *given, "--predictions", tmp_path / "openvino", "--model", work / "model-whole", "-o",
        tmp_path / "evaluation", cwd=work)
    rows = table.read(tmp_path / "evaluation/metrics.csv")
    assert table.task_of(rows) == "classification" and classes_of(rows) == ["negative", "positive"]
    assert sorted(rows["case"]) == sorted(test)
    found = checked.read_json(tmp_path / "evaluation/classification.json", "classification")
    assert sum(map(sum, found["confusion"])) == len(test) and 0 <= found["positive"][0]["metrics"]["auc"]["value"] <= 1
    assert (tmp_path / "evaluation/roc.png").read_bytes()[:4] == b"\x89PNG"
    some = (tmp_path / "openvino/predictions.csv").read_text().splitlines(keepends=True)
    (tmp_path / "openvino/predictions.csv").write_text("".join(some[:-2]))
    ran = run("evaluate", *given, "--predictions", tmp_path / "openvino", "--model", work / "model-whole", "-o",
              tmp_path / "other", cwd=work, code=3)
    assert all(line.split(",")[0] in ran.stderr for line in some[-2:]) and not (tmp_path / "other").exists()


def test_images_of_any_kind_and_bad_ones(work, tmp_path):
    grey = np.tile(np.linspace(0, 60000, 50).astype(np.uint16), (90, 1))
    Image.fromarray(grey).save(tmp_path / "deep.png")
    Image.fromarray((grey // 256).astype(np.uint8)).convert("RGB").save(tmp_path / "colour.png")
    (tmp_path / "bad.jpg").write_text("no image")
    Image.fromarray(np.full((90, 50), 7, np.uint8)).save(tmp_path / "constant.png")
    ran = run("infer", "--model", work / "model-whole", tmp_path, "-o", tmp_path / "p.csv", "--json", cwd=work, code=3)
    cases = {case["case"]: case for case in json.loads(ran.stdout)["cases"]}
    found = {name: case["probabilities"]["positive"] for name, case in cases.items()}
    assert "constant: The image cannot be used: empty image: every pixel is 7" in ran.stderr
    said = cases["deep"]["warnings"]
    assert "99.5th percentile 60,000 (in training " in said[0] and "fewer pixels than the" in said[1]
    assert f"Warning: deep: {said[0]}" in ran.stderr
    with open(tmp_path / "p.csv", newline="") as handle:
        assert {row["case"]: row["warnings"] for row in csv.DictReader(handle)}["deep"] == " | ".join(said)
    assert not cases["colour"]["warnings"] or "60,000" not in cases["colour"]["warnings"][0]
    with pytest.warns(UserWarning, match="60,000"):
        network = Classifier.load(work / "model-whole")
        network(grey)
    with pytest.raises(DataError, match="every pixel is 7"):
        network(np.full((9, 9), 7.0))
    assert found.keys() == {"deep", "colour"} and found["deep"] == pytest.approx(found["colour"], abs=0.01)
    assert "bad" in ran.stderr and (tmp_path / "p.csv").is_file()


def test_an_architecture_of_the_other_task(work):
    ran = train(work, "x", "--arch", "unet", code=2)
    assert "'unet' is not for classification" in ran.stderr and "classifier" in ran.stderr
