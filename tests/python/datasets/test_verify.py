"""The manifest and the fingerprint against values computed another way, and the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import shutil

import checked
import numpy as np
import pytest
import SimpleITK as sitk
from pocketnet.datasets import check, presets


def by_simpleitk(path) -> tuple[np.ndarray, tuple[float, ...]]:
    """Voxels in RAS+ as (x, y, z) and spacing, read by SimpleITK (whose own axes are LPS+)."""
    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "RAS")
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0), image.GetSpacing()


def expected_case(images: dict, label_path, classes: dict) -> dict:
    """A fingerprint's entry from first principles."""
    label, _ = by_simpleitk(label_path)
    data = {modality: by_simpleitk(path)[0] for modality, path in images.items()}
    spacing = by_simpleitk(next(iter(images.values())))[1]
    where = np.argwhere(np.any([d != 0 for d in data.values()], axis=0))
    entry = {"shape": list(label.shape), "spacing_mm": list(spacing),
             "cropped_shape": (where.max(axis=0) - where.min(axis=0) + 1).tolist(),
             "label_voxels": {name: int(np.isin(label, values).sum()) for name, values in classes.items()}}
    labelled = np.argwhere(np.isin(label, [v for values in classes.values() for v in values]))
    picked = labelled[[len(labelled) * k // min(500, len(labelled)) for k in range(min(500, len(labelled)))]]
    entry["intensities"] = []
    for modality, voxels in data.items():
        inside = np.sort(voxels[voxels != 0].astype(np.float64))
        entry["intensities"].append({
            "modality": modality, "mean": inside.sum() / inside.size,
            "std": np.sqrt(((inside - inside.mean()) ** 2).sum() / inside.size),
            "minimum": inside[0], "maximum": inside[-1],
            **{name: np.interp(q * (inside.size - 1), np.arange(inside.size), inside)
               for name, q in (("p0_5", 0.005), ("median", 0.5), ("p99_5", 0.995))},
            "voxels": inside.size, "sample": [voxels[tuple(place)] for place in picked]})
    return entry


def assert_entry(entry: dict, expected: dict) -> None:
    for key in ("shape", "cropped_shape", "label_voxels"):
        assert entry[key] == expected[key]
    assert entry["spacing_mm"] == pytest.approx(expected["spacing_mm"], rel=1e-6)
    for found, wanted in zip(entry["intensities"], expected["intensities"], strict=True):
        assert set(found) == set(wanted)
        assert found["sample"] == pytest.approx(wanted["sample"], rel=1e-6)
        for key in set(wanted) - {"modality", "sample"}:
            assert found[key] == pytest.approx(wanted[key], rel=1e-6), key


def test_hippocampus_fingerprint(hippocampus):
    result = check.check(hippocampus, presets.load("hippocampus"))
    for case in ("hippocampus_001", "hippocampus_003"):  # stored as uint8 and as float32
        assert_entry(result.fingerprint.cases[case].to_json(), expected_case(
            {"MRI": hippocampus / f"imagesTr/{case}.nii.gz"}, hippocampus / f"labelsTr/{case}.nii.gz",
            {"Anterior": [1], "Posterior": [2]}))
        assert result.fingerprint.cases[case].orientation == "RAS"


@pytest.mark.parametrize(("label_set", "classes"), [
    (None, {"whole tumor": [1, 2, 3, 4]}),
    ("multiclass", {"necrosis": [1], "edema": [2], "non-enhancing": [3], "enhancing": [4]}),
    ("enhancing=4", {"enhancing": [4]}),
])
def test_brats_fingerprint(brats, label_set, classes):
    """Headers in LPS: shape, crop and sample are in RAS+ all the same; values of no class are background."""
    result = check.check(brats, presets.load("brats"), modalities=["t1ce", "flair"], label_set=label_set)
    assert result.problems == []
    for case, entry in result.fingerprint.to_json()["cases"].items():
        images = {m: brats / case / f"{case}_{m}.nii.gz" for m in ("t1ce", "flair")}
        assert_entry(entry, expected_case(images, brats / case / f"{case}_seg.nii.gz", classes))
        assert entry["orientation"] == "LPS"


def test_a_plain_nii_and_turned_axes(brats):
    """The same case uncompressed and with its axes in another order has the same numbers."""
    import nibabel as nib

    before = check.check(brats, presets.load("brats"), modalities=["flair"]).fingerprint.to_json()["cases"]
    case = "brats_2013_pat0003_1"
    turn = nib.orientations.axcodes2ornt("SLP")
    for kind in ("flair", "seg"):
        path = brats / case / f"{case}_{kind}.nii.gz"
        image = nib.load(path)
        now = nib.orientations.ornt_transform(nib.io_orientation(image.affine), turn)
        nib.save(image.as_reoriented(now), path.with_suffix(""))
        path.unlink()
    result = check.check(brats, presets.load("brats"), modalities=["flair"])
    after = result.fingerprint.to_json()["cases"]
    assert after[case].pop("orientation") == "SLP" and before[case].pop("orientation") == "LPS"
    assert after == before
    assert result.manifest.cases[0].images == (f"{case}/{case}_flair.nii",)


def test_manifest(brats):
    manifest = check.check(brats, presets.load("brats"), modalities=["t1ce", "flair"]).manifest.to_json()
    assert (manifest["dataset"], manifest["layout"], manifest["dimensions"]) == ("brats", "brats", 3)
    assert manifest["modalities"] == ["t1ce", "flair"]
    (label,) = manifest["labels"]
    assert (label["name"], label["value"], label["source_values"]) == ("whole tumor", 1, [1, 2, 3, 4])
    assert label["code"]["type"] == {"scheme": "SCT", "value": "108369006", "meaning": "Neoplasm"}
    assert [case["case"] for case in manifest["cases"]] == sorted(path.name for path in brats.iterdir())
    for case in manifest["cases"]:
        stem = f"{case['case']}/{case['case']}"
        assert case["images"] == [f"{stem}_t1ce.nii.gz", f"{stem}_flair.nii.gz"]
        assert case["label"] == f"{stem}_seg.nii.gz"
        assert case["sha256"] == {path: hashlib.sha256((brats / path).read_bytes()).hexdigest()
                                  for path in (*case["images"], case["label"])}


def test_summary_is_the_median_over_cases(hippocampus):
    fingerprint = check.check(hippocampus, presets.load("hippocampus")).fingerprint.to_json()
    for key in ("shape", "cropped_shape", "spacing_mm"):
        values = sorted(case[key][0] for case in fingerprint["cases"].values())
        assert fingerprint["summary"][key][0] == (values[6] + values[7]) / 2


def test_the_same_bytes_wherever_the_folder_lies(hippocampus, tmp_path):
    elsewhere = shutil.copytree(hippocampus, tmp_path / "moved" / "x")
    index = json.loads((elsewhere / "dataset.json").read_text())
    index["training"].reverse()
    (elsewhere / "dataset.json").write_text(json.dumps(index))
    for folder, threads, out in ((hippocampus, 1, "one"), (elsewhere, 4, "two")):
        check.write_result(check.check(folder, presets.load("hippocampus"), threads=threads), tmp_path / out)
    for name in ("manifest.json", "fingerprint.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert len(checked.read_json(tmp_path / "one/manifest.json", "manifest")["cases"]) == 14


def test_every_file_is_read_once(hippocampus, monkeypatch):
    from pathlib import Path

    opened = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: (opened.append(self), read(self))[1])
    check.check(hippocampus, presets.load("hippocampus"))
    assert sorted(opened) == sorted(hippocampus.glob("*Tr/*.nii.gz"))
