"""One table of images through every way in: check, preprocess, infer, evaluate, `Predictor`, nibabel.

The same warnings and the same refusals everywhere, and the same voxels.
"""

from __future__ import annotations

import gzip
import json
import warnings
from importlib import import_module
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner
from pocketnet import Predictor
from pocketnet.contracts.manifest import Manifest
from pocketnet.errors import DataError
from pocketnet.preprocessing.store import Store

MODEL = Path(__file__).resolve().parents[3] / "models/hippocampus/fold1"
SHAPE = (26, 34, 20)


def brain():
    """An image within the ranges of the shipped network, with both forms."""
    rng = np.random.default_rng(8)
    made = nib.Nifti1Image(np.clip(rng.normal(500, 240, SHAPE), 30, 950).astype(np.int16), np.eye(4))
    made.header.set_xyzt_units("mm", "sec")
    made.set_qform(np.eye(4), 1)
    made.set_sform(np.eye(4), 1)
    return made


def label():
    data = np.zeros(SHAPE, np.uint8)
    data[10:20, 10:20, 10:20] = 1
    data[10:20, 20:30, 10:20] = 2
    return data


def two_poses(image):
    moved = np.eye(4)
    moved[0, 3] = 12.5
    image.set_qform(moved, 1)


def no_codes(image):
    image.header["qform_code"] = image.header["sform_code"] = 0


def nothing(image):
    pass


def with_voxels(change):
    """A change of the voxels."""
    def put(image):
        data = np.asarray(image.dataobj).astype(np.float32)
        change(data)
        return nib.Nifti1Image(data, image.affine, image.header, dtype=np.float32)
    return put


def constant(data):
    data[...] = 5


def hole(data):
    data[3, 3, 3] = np.nan


def truncated(content):
    return gzip.compress(content[:-100])


def garbage(content):
    return gzip.compress(content) + b"garbage"


WARNED = {"plain": (nothing, gzip.compress, ()),
          "poses": (two_poses, gzip.compress, ("qform and sform disagree by up to 12.5 mm; the sform is used, and "
                                               "results get both",)),
          "codes": (no_codes, gzip.compress, ("the header says no orientation (qform and sform codes are 0)",)),
          "garbage": (nothing, garbage, ("7 bytes follow the end of the gzip stream; they are ignored",))}
REFUSED = {"constant": (with_voxels(constant), gzip.compress, "empty image: every voxel is 5"),
           "nan": (with_voxels(hole), gzip.compress, "1 voxel is NaN or infinite"),
           "truncated": (nothing, truncated, "The file is truncated")}


def save(path, image, change=nothing, pack=gzip.compress):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = change(image) or image
    affine = None if not image.header["qform_code"] and not image.header["sform_code"] else image.affine
    path.write_bytes(pack(nib.Nifti1Image(np.asarray(image.dataobj), affine, image.header).to_bytes()))


def dataset(folder, table):
    """The images of a table, and their label maps, which have the same headers."""
    for name, (change, pack, _) in table.items():
        save(folder / f"imagesTr/{name}.nii.gz", brain(), change, pack)
        made = nib.Nifti1Image(label(), np.eye(4), brain().header, dtype=np.uint8)
        save(folder / f"labelsTr/{name}.nii.gz", made, change if name in WARNED else nothing,
             pack if name in WARNED else gzip.compress)
    (folder / "dataset.json").write_text(json.dumps({
        "modality": {"0": "MRI"}, "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "numTraining": len(table), "training": [
            {"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"} for name in table]}))
    return folder


def run(name, *arguments, code=0):
    ran = CliRunner().invoke(import_module(f"pocketnet.cli.{name}").main, [*map(str, arguments), "--json"])
    assert ran.exit_code == code, ran.output
    return (json.loads(ran.stdout) if ran.stdout else {}), ran.stderr


def of_case(lines, name):
    """What is said of a case's image or label map, without the name of either; each only once."""
    starts = (f"imagesTr/{name}.nii.gz: ", f"labelsTr/{name}.nii.gz: ", f"{name}: {name}.nii.gz: ",
              f"{name}: reference: ", f"{name}: prediction: ", f"{name}: ")
    found = []
    for line in lines:
        if line.startswith(starts):
            found.append(next(line.removeprefix(start) for start in starts if line.startswith(start)))
    return tuple(dict.fromkeys(found))


@pytest.fixture(scope="module")
def predictor():
    return Predictor.load(MODEL)


def test_every_way_in_warns_alike(tmp_path, predictor):
    data, out = dataset(tmp_path / "data", WARNED), tmp_path / "out"
    checked, said_by_check = run("check", "--dataset", "decathlon", "--input", data, "-o", out)
    run("plan", "--manifest", out / "manifest.json", "--fingerprint", out / "fingerprint.json", "--folds", "2", "-o",
        out)
    (out / "preprocessing.json").write_text(json.dumps({"preprocessing": {
        "crop": "none", "spacing_mm": None, "normalisation": "zscore", "size": None}}))
    given = ("--manifest", out / "manifest.json", "--input", data)
    stored, _ = run("preprocess", *given, "--plan", out / "preprocessing.json", "-o", out / "stores")
    inferred, said = run("infer", "--model", MODEL, data / "imagesTr", "--no-extras", "-o", out / "predictions")
    evaluated, said_by_evaluate = run("evaluate", *given, "--predictions", out / "predictions", "--model", MODEL, "-o",
                                      out / "evaluation")
    assert Manifest.read(out / "manifest.json").modalities == ("MRI",)
    for name, (_, _, words) in WARNED.items():
        path = data / f"imagesTr/{name}.nii.gz"
        assert of_case(checked["warnings"], name) == of_case(stored["warnings"], name) == words
        assert of_case(evaluated["warnings"], name) == words
        case = next(one for one in inferred["cases"] if one["case"] == name)
        assert tuple(case["warnings"]) == words
        for text in words:
            assert all(text in stderr for stderr in (said_by_check, said, said_by_evaluate))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = predictor(nib.load(path)) if name != "garbage" else None
            classes = predictor.segment_files(path, out / f"{name}.nii.gz")
        expected = words if found is None else words * 2
        assert tuple(str(one.message) for one in told if one.category is UserWarning) == expected
        written = nib.load(out / f"predictions/{name}.nii.gz")
        np.testing.assert_array_equal(np.asarray(nib.load(out / f"{name}.nii.gz").dataobj), np.asarray(written.dataobj))
        if found is not None:
            np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(written.dataobj))
        assert classes.shape == SHAPE
        voxels = Store(out / f"stores/{name}").read_image((0, 0, 0), SHAPE)[..., 0]
        np.testing.assert_array_equal(voxels, nib.as_closest_canonical(nib.load(path)).get_fdata(dtype=np.float32))


def test_every_way_in_refuses_alike(tmp_path, predictor):
    table = {"plain": WARNED["plain"], **REFUSED}
    data, out = dataset(tmp_path / "data", table), tmp_path / "out"
    found, _ = run("check", "--dataset", "decathlon", "--input", data, "-o", out, code=3)
    problems = {problem["case"]: problem["problem"] for problem in found["problems"]}
    (tmp_path / "manifest.json").write_text(json.dumps({
        "kind": "manifest", "schema_version": 1, "dataset": "decathlon", "layout": "decathlon", "dimensions": 3,
        "modalities": ["MRI"], "preprocessing": {"crop": "none", "spacing_mm": None, "normalisation": "zscore"},
        "labels": [{"name": name, "value": value, "source_values": [value]}
                   for value, name in ((1, "Anterior"), (2, "Posterior"))],
        "cases": [{"case": name, "images": [f"imagesTr/{name}.nii.gz"], "label": f"labelsTr/{name}.nii.gz",
                   "sha256": {}} for name in table]}))
    (tmp_path / "plan.json").write_text(json.dumps({"preprocessing": {
        "crop": "none", "spacing_mm": None, "normalisation": "zscore", "size": None}}))
    _, said = run("preprocess", "--manifest", tmp_path / "manifest.json", "--input", data, "--plan",
                  tmp_path / "plan.json", "-o", out / "stores", code=3)
    inferred, _ = run("infer", "--model", MODEL, data / "imagesTr", "--no-extras", "-o", out / "predictions", code=3)
    assert set(problems) == set(REFUSED) and [case["case"] for case in inferred["cases"]] == ["plain"]
    for name, (_, _, words) in REFUSED.items():
        assert words in problems[name]
        assert any(words in line for line in said.splitlines() if f"{name}:" in line)
        assert any(words in line for line in inferred["failed"] if line.startswith(f"{name}:"))
        with pytest.raises(DataError) as error:
            predictor.segment_files(data / f"imagesTr/{name}.nii.gz", out / "x.nii.gz")
        assert words in error.value.line()
        if name != "truncated":  # nibabel refuses that itself
            with pytest.raises(DataError) as error:
                predictor(nib.load(data / f"imagesTr/{name}.nii.gz"))
            assert words in error.value.line()
