"""`pocket-evaluate` on real images: hippocampus in the dataset's own values, BraTS in LPS with merged classes."""

import json
import shutil

import checked
import numpy as np
import pytest
from click.testing import CliRunner
from fake_run import LABELS, PLAN, edit_json, write_model
from PIL import Image
from pocketnet.cli.evaluate import main
from pocketnet.contracts import costs
from pocketnet.contracts.energy import Energy
from pocketnet.contracts.overlays import Overlays
from pocketnet.evaluation import table
from pocketnet.evaluation.thumbnail import SIDE
from pocketnet.files import sha256
from pocketnet.preprocessing import geometry


def manifest(path, cases, labels=LABELS, **changes):
    checked.write_json(path, {"dataset": "hippocampus", "layout": "decathlon", "dimensions": 3, "modalities": ["MRI"],
                            "labels": labels, "preprocessing": PLAN["preprocessing"], "cases": cases, **changes},
                     "manifest")
    return path


@pytest.fixture
def hippocampi(hippocampus, tmp_path):
    """Four cases and, for each, a prediction: the reference moved by 0 to 3 voxels."""
    names = sorted(path.name.removesuffix(".nii.gz") for path in (hippocampus / "labelsTr").iterdir())[:4]
    for step, name in enumerate(names):
        volume = geometry.read(hippocampus / "labelsTr" / f"{name}.nii.gz", label=True)
        moved = np.roll(volume.data, step, 0).astype(np.uint8)
        geometry.write_image(tmp_path / "predictions" / f"{name}.nii.gz", moved, volume.grid)
    write_model(tmp_path / "model", fold=1)
    manifest(tmp_path / "manifest.json", [
        {"case": name, "images": [f"imagesTr/{name}.nii.gz"], "label": f"labelsTr/{name}.nii.gz", "sha256": {}}
        for name in names])
    return names


def run(tmp_path, input_, *options):
    return CliRunner().invoke(main, ["--manifest", str(tmp_path / "manifest.json"), "--input", str(input_),
                                     "--predictions", str(tmp_path / "predictions"), "--model",
                                     str(tmp_path / "model"), "-o", str(tmp_path / "out"), "--quiet", *options])


def test_rows_pictures_and_who_made_them(hippocampi, hippocampus, tmp_path):
    spent = [costs.Cost(name, 1.5, Energy(0.1, "estimated", 10.0)) for name in (*hippocampi, "of_another_batch")]
    costs.write(tmp_path / "predictions" / "costs.csv", spent)
    outcome = run(tmp_path, hippocampus, "--json")
    assert outcome.exit_code == 0, outcome.output
    assert list(costs.read(tmp_path / "out" / "costs.csv").values()) == spent[:-1]
    rows = table.read(tmp_path / "out" / "metrics.csv")
    assert len(rows) == 8
    assert set(rows["run_key"]) == {"unet-pocket-1"} and set(rows["fold"]) == {1}
    first = rows[rows["case"] == hippocampi[0]]
    assert first["dice"].tolist() == [1, 1] and first["hd95_mm"].tolist() == [0, 0]
    assert rows.groupby("case")["dice"].mean()[hippocampi].is_monotonic_decreasing
    shown = checked.read_json(tmp_path / "out" / "overlays.json", "overlays")["overlays"]
    assert [(entry["rank"], entry["case"]) for entry in shown] == [
        ("best", hippocampi[0]), ("median", hippocampi[2]), ("worst", hippocampi[3])]
    for entry in shown:
        assert (tmp_path / "out" / entry["file"]).stat().st_size < 60_000
    assert json.loads(outcome.stdout)["cases"] == 4
    small = Overlays.read(tmp_path / "out" / "overlays.json").thumbnails
    assert [one.case for one in small] == hippocampi[::-1]  # the worst first
    for one in small:
        with Image.open(tmp_path / "out" / one.file) as picture:
            assert picture.format == "WEBP" and picture.size == (SIDE, SIDE)
        assert (tmp_path / "out" / one.file).stat().st_size < 12_000


def test_every_missing_prediction_is_named(hippocampi, hippocampus, tmp_path):
    for name in hippocampi[1:3]:
        (tmp_path / "predictions" / f"{name}.nii.gz").unlink()
    outcome = run(tmp_path, hippocampus)
    assert outcome.exit_code == 3
    assert all(name in outcome.stderr for name in hippocampi[1:3]) and hippocampi[0] not in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_every_bad_prediction_is_named(hippocampi, hippocampus, tmp_path):
    moved, truncated, strange, _ = (tmp_path / "predictions" / f"{name}.nii.gz" for name in hippocampi)
    volume = geometry.read(moved, label=True)
    affine = volume.grid.affine.copy()
    affine[0, 3] += 2
    geometry.write_image(moved, volume.data, geometry.Grid(volume.grid.shape, affine, volume.grid.header))
    truncated.write_bytes(truncated.read_bytes()[:200])
    volume = geometry.read(strange, label=True)
    geometry.write_image(strange, volume.data * 3, volume.grid)
    outcome = run(tmp_path, hippocampus)
    assert outcome.exit_code == 3
    assert "3 of 4" in outcome.stderr
    reasons = ("another grid", "truncated", "not a class of the manifest: [3, 6]")
    for name, reason in zip(hippocampi, reasons, strict=False):
        line = next(line for line in outcome.stderr.splitlines() if f"- {name}:" in line)
        assert reason in line and str(tmp_path / "predictions" / name) in line
    assert not (tmp_path / "out").exists()


def test_cases_without_reference_are_left_out(hippocampi, hippocampus, tmp_path):
    content = json.loads((tmp_path / "manifest.json").read_text())
    content["cases"][0]["label"] = None
    edit_json(tmp_path / "manifest.json", cases=content["cases"])
    assert run(tmp_path, hippocampus).exit_code == 0
    assert len(table.read(tmp_path / "out" / "metrics.csv")) == 6
    edit_json(tmp_path / "manifest.json", cases=content["cases"][:1])
    outcome = run(tmp_path, hippocampus)
    assert outcome.exit_code == 3 and "No case" in outcome.stderr


def test_a_manifest_with_other_classes_is_refused(hippocampi, hippocampus, tmp_path):
    edit_json(tmp_path / "manifest.json", labels=[{"name": "hippocampus", "value": 1, "source_values": [1, 2]}])
    outcome = run(tmp_path, hippocampus)
    assert outcome.exit_code == 2 and "hippocampus" in outcome.stderr and "Anterior" in outcome.stderr


def test_merged_classes_and_a_file_that_is_not_ras(brats, tmp_path):
    labels = [{"name": "whole tumour", "value": 1, "source_values": [1, 2, 3, 4]}]
    cases = []
    for folder in sorted(brats.iterdir()):
        name = folder.name
        volume = geometry.read(folder / f"{name}_seg.nii.gz", label=True)
        assert volume.grid.orientation != "RAS"
        found = (volume.data > 0).astype(np.uint8)
        geometry.write_image(tmp_path / "predictions" / f"{name}.nii.gz", found, volume.grid)
        cases.append({"case": name, "images": [f"{name}/{name}_flair.nii.gz"], "label": f"{name}/{name}_seg.nii.gz",
                      "sha256": {}})
    manifest(tmp_path / "manifest.json", cases, labels, modalities=["FLAIR"])
    write_model(tmp_path / "model")
    edit_json(tmp_path / "model" / "labels.json", labels=labels)
    outcome = run(tmp_path, brats)
    assert outcome.exit_code == 0, outcome.output
    rows = table.read(tmp_path / "out" / "metrics.csv")
    assert rows["dice"].tolist() == [1, 1, 1] and rows["asd_mm"].tolist() == [0, 0, 0]


def test_a_label_that_was_changed_after_the_check_is_refused(hippocampi, hippocampus, tmp_path):
    path = tmp_path / "manifest.json"
    listing = json.loads(path.read_text())
    for case in listing["cases"]:
        case["sha256"] = {name: sha256(hippocampus / name) for name in (*case["images"], case["label"])}
    path.write_text(json.dumps(listing))
    changed = hippocampus / listing["cases"][1]["label"]
    shutil.copyfile(hippocampus / listing["cases"][2]["label"], changed)
    outcome = run(tmp_path, hippocampus)
    assert outcome.exit_code == 3 and "1 of 4 cases cannot be evaluated" in outcome.stderr
    assert str(changed) in outcome.stderr and "changed after pocket-check" in outcome.stderr
    assert not (tmp_path / "out" / "metrics.csv").exists()


def test_parts_are_joined_to_the_files_of_one_evaluation(hippocampi, hippocampus, tmp_path):
    """Two of four cases share a group, which a part with one of them does not see."""
    cases = [{"case": name, "images": [f"imagesTr/{name}.nii.gz"], "label": f"labelsTr/{name}.nii.gz", "sha256": {},
              **({"group": "twins"} if index in (0, 3) else {})} for index, name in enumerate(hippocampi)]
    manifest(tmp_path / "manifest.json", cases)
    assert run(tmp_path, hippocampus).exit_code == 0
    for part in (0, 1):
        manifest(tmp_path / "manifest.json", cases[part::2])
        outcome = run(tmp_path, hippocampus, "--part", "-o", str(tmp_path / f"part{part}"))
        assert outcome.exit_code == 0, outcome.output
        assert {path.name for path in (tmp_path / f"part{part}").iterdir() if path.name[0] != "."} == {"metrics.csv"}
    manifest(tmp_path / "manifest.json", cases)
    measured = [word for part in (1, 0) for word in ("--measured", str(tmp_path / f"part{part}"))]
    (tmp_path / "empty").mkdir()
    shutil.move(tmp_path / "predictions" / f"{hippocampi[2]}.nii.gz", tmp_path / "empty")  # of several folders
    outcome = run(tmp_path, hippocampus, *measured, "--predictions", str(tmp_path / "empty"), "-o",
                  str(tmp_path / "joined"))
    assert outcome.exit_code == 0, outcome.output
    for name in ("metrics.csv", "overlays.json", *(str(path.relative_to(tmp_path / "out")) for path in (
            tmp_path / "out").glob("*/*.*") if path.name[0] != ".")):
        assert (tmp_path / "joined" / name).read_bytes() == (tmp_path / "out" / name).read_bytes(), name
    assert set(table.read(tmp_path / "joined/metrics.csv")["group"].dropna()) == {"group twins"}


def test_parts_of_other_cases_or_another_model_are_refused(hippocampi, hippocampus, tmp_path):
    assert run(tmp_path, hippocampus, "--part").exit_code == 0
    said = {}
    for name, options in {"twice": ["--measured", str(tmp_path / "out")] * 2,
                          "absent": ["--measured", str(tmp_path / "model")]}.items():
        outcome = run(tmp_path, hippocampus, *options, "-o", str(tmp_path / name))
        said[name] = outcome.exit_code, outcome.stderr
    write_model(tmp_path / "other", fold=0)
    outcome = run(tmp_path, hippocampus, "--measured", str(tmp_path / "out"), "--model", str(tmp_path / "other"), "-o",
                  str(tmp_path / "third"))
    said["another model"] = outcome.exit_code, outcome.stderr
    assert {name: code for name, (code, _) in said.items()} == dict.fromkeys(said, 2)
    assert "is evaluated twice" in said["twice"][1] and "no metrics table" in said["absent"][1]
    assert "another model: other fold, run_key" in said["another model"][1]
