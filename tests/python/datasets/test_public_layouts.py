"""Every public layout, small: checked, planned and preprocessed; and what the preset says is what is done."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from commands import succeed
from pocketnet.contracts.splits import Intensity
from pocketnet.preprocessing.intensity import Normaliser
from pocketnet.preprocessing.store import Store
from public_layouts import MAKERS


class Prepared:
    """A layout's files after check, plan and preprocess."""

    def __init__(self, data: Path, out: Path, options: list[str], folds: int = 3):
        self.data, self.out = data, out
        self.said = succeed("check", *options, "--input", data, "--folds", folds, "-o", out)
        self.manifest, self.fingerprint = (json.loads((out / f"{name}.json").read_text())
                                           for name in ("manifest", "fingerprint"))
        files = ("--manifest", out / "manifest.json")
        succeed("plan", *files, "--fingerprint", out / "fingerprint.json", "--folds", folds, "-o", out)
        self.plan, self.splits = (json.loads((out / f"{name}.json").read_text()) for name in ("plan", "splits"))
        succeed("preprocess", *files, "--plan", out / "plan.json", "--input", data, "-o", out / "stores")
        self.stores = {case["case"]: Store(out / "stores" / case["case"]) for case in self.manifest["cases"]}

    def read(self, case: str) -> tuple[np.ndarray, np.ndarray]:
        store = self.stores[case]
        return (store.read_image((0, 0, 0), store.shape), store.read_label((0, 0, 0), store.shape))


@pytest.fixture(scope="module")
def prepared(real_data, tmp_path_factory):
    made = {}

    def make(name: str) -> Prepared:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            (folder / "data").mkdir()
            made[name] = Prepared(folder / "data", folder / "out", MAKERS[name](real_data, folder / "data"))
        return made[name]

    return make


EXPECTED = [  # layout, cases, modalities, classes, (crop, normalisation), spacing of the plan
    ("hippocampus", 6, ["MRI"], ["Anterior", "Posterior"], ("nonzero", "zscore"), None),
    ("nnunet", 6, ["MRI"], ["Anterior", "Posterior"], ("nonzero", "zscore"), [1, 1, 1]),
    ("decathlon", 3, ["FLAIR", "T1gd"], ["tumor"], ("nonzero", "zscore"), [1, 1, 1]),
    ("brats_2020", 3, ["flair", "t1ce"], ["whole tumor"], ("nonzero", "zscore"), None),
    ("brats_2021", 3, ["flair", "t1ce"], ["whole tumor"], ("nonzero", "zscore"), None),
    ("brats_2023", 3, ["flair", "t1ce"], ["whole tumor"], ("nonzero", "zscore"), None),
    ("csv_table", 3, ["FLAIR", "T1ce"], ["core", "edema"], ("nonzero", "zscore"), [1, 1, 1]),
    ("lits", 4, ["CT"], ["liver"], ("none", "window"), [3, 3, 5.1]),
    ("nfbs", 3, ["T1w"], ["brain"], ("none", "zscore_image"), None),
]


@pytest.mark.parametrize("name, cases, modalities, classes, scheme, spacing", EXPECTED,
                         ids=[row[0] for row in EXPECTED])
def test_a_public_layout_is_checked_planned_and_preprocessed(prepared, name, cases, modalities, classes, scheme,
                                                             spacing):
    made = prepared(name)
    assert len(made.manifest["cases"]) == cases and made.manifest["modalities"] == modalities
    assert [label["name"] for label in made.manifest["labels"]] == classes
    preprocessing = made.plan["preprocessing"]
    assert (preprocessing["crop"], preprocessing["normalisation"]) == scheme
    assert preprocessing["spacing_mm"] == (spacing and pytest.approx(spacing))
    for case in made.stores:
        image, label = made.read(case)
        assert image.shape == (*label.shape, len(modalities)) and image.std() > 0
        assert set(np.unique(label)) <= set(range(len(classes) + 1)) and label.any()


def test_the_same_images_in_another_years_names_give_the_same_stores(prepared):
    years = [[store.sha256 for _, store in sorted(prepared(name).stores.items())]
             for name in ("brats_2020", "brats_2021", "brats_2023")]
    assert years[0] == years[1] == years[2]


def test_a_volume_of_a_4d_file_is_read_as_if_it_were_alone(prepared):
    whole, alone = prepared("decathlon"), prepared("brats_2023")
    assert whole.manifest["cases"][0]["images"] == ["imagesTr/BRATS_001.nii.gz[0]", "imagesTr/BRATS_001.nii.gz[1]"]
    assert set(whole.manifest["cases"][0]["sha256"]) == {"imagesTr/BRATS_001.nii.gz", "labelsTr/BRATS_001.nii.gz"}
    for one, other in zip(sorted(whole.stores), sorted(alone.stores), strict=True):
        np.testing.assert_array_equal(whole.read(one)[0], alone.read(other)[0])
    entries = [list(made.fingerprint["cases"].values())[0]["intensities"] for made in (whole, alone)]
    assert [e["p99_5"] for e in entries[0]] == [e["p99_5"] for e in entries[1]]


def test_the_table_says_the_test_set_and_who_has_no_label(prepared):
    made = prepared("csv_table")
    assert "left out, they have no label: later" in made.said
    (fold,) = made.splits["folds"]
    assert fold["test"] == ["BraTS-GLI-00000-000"] and not set(fold["train"]) & set(fold["test"])


def test_lits_is_resampled_windowed_and_merged_as_in_the_paper(prepared):
    made = prepared("lits")
    assert made.plan["network"]["pooling"] == [[2, 2, 2]] * made.plan["network"]["depth"]  # 3 to 5.1 is within two
    fold = made.splits["folds"][0]
    foreground = []
    for case in fold["train"]:
        hu, label = (np.asarray(nib.load(made.data / path).dataobj) for path in _paths(made, case))
        foreground.append(hu[label > 0])
    values = np.concatenate(foreground)
    constants = fold["intensity"][0]
    # From samples of 500 voxels a case.
    assert 0 < (values < constants["p0_5"]).mean() < 0.02 and 0 < (values > constants["p99_5"]).mean() < 0.02
    assert constants["mean"] == pytest.approx(values.mean(), abs=4)
    assert constants["std"] == pytest.approx(values.std(), rel=0.1)
    case = fold["test"][0]
    image, label = made.read(case)
    seen = Normaliser("window", [Intensity(**one) for one in fold["intensity"]])(image, made.stores[case].statistics)
    edges = [(constants[key] - constants["mean"]) / constants["std"] for key in ("p0_5", "p99_5")]
    assert [seen.min(), seen.max()] == pytest.approx(edges, abs=1e-3)
    assert np.array_equal(np.unique(label), [0, 1])


def test_a_label_map_without_a_grid_of_its_own_lies_on_its_images(prepared):
    made = prepared("lits")
    assert "segmentation-3.nii: its header says another grid than its image's; taken voxel by voxel" in made.said
    store = made.stores["volume-3"]
    path, label_path = _paths(made, "volume-3")
    label = (np.asarray(nib.load(made.data / label_path).dataobj) > 0).astype(np.uint8)
    expected = nib.as_closest_canonical(nib.Nifti1Image(label, nib.load(made.data / path).affine))
    found = store.read_label((0, 0, 0), store.shape)
    # 3 mm in plane stays, 30 slices of 3 mm become 18 of 5.1 mm.
    assert found.shape == (98, 86, 18)
    middles = [np.argwhere(np.asarray(one)).mean(axis=0) for one in (found, expected.dataobj)]
    np.testing.assert_allclose(middles[0][:2], middles[1][:2], atol=0.5)


def _paths(made: Prepared, case: str) -> tuple[str, str]:
    entry = next(entry for entry in made.manifest["cases"] if entry["case"] == case)
    return entry["images"][0], entry["label"]


def test_nfbs_is_normalised_by_the_whole_image(prepared):
    made = prepared("nfbs")
    for case, store in made.stores.items():
        image, _ = made.read(case)
        seen = Normaliser("zscore_image")(image, store.statistics)
        assert abs(seen.mean()) < 1e-4 and seen.std() == pytest.approx(1, abs=1e-4)
        assert made.fingerprint["cases"][case]["orientation"] == "PIR"
        path, _ = _paths(made, case)
        expected = nib.as_closest_canonical(nib.load(made.data / path))
        np.testing.assert_array_equal(image[..., 0], np.asarray(expected.dataobj, np.float32))
