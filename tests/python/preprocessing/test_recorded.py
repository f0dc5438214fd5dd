"""Images and label maps that were changed after the check are refused by the steps that read them."""

import dataclasses

import fake_run
import numpy as np
import pytest
import tiny
from pocketnet.cli import infer
from pocketnet.contracts.manifest import Manifest
from pocketnet.errors import AlteredError, DataError
from pocketnet.evaluation.cases import Sources
from pocketnet.evaluation.segmentation.evaluate import evaluate
from pocketnet.files import sha256
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.dataset import write_stores
from pocketnet.preprocessing.recorded import check_recorded


@pytest.fixture
def checked(tmp_path):
    """Three cases whose checksums are recorded; of the second, one file is changed afterwards."""
    listing = tiny.dataset(tmp_path / "data", cases=3)
    value = listing.to_json()
    for case in value["cases"]:
        case["sha256"] = {name: sha256(tmp_path / "data" / name) for name in (*case["images"], case["label"])}
    return Manifest.from_json(value), tmp_path / "data"


def change(path):
    volume = geometry.read(path)
    geometry.write_image(path, np.roll(volume.data, 1, 0), volume.grid)


@pytest.mark.parametrize("name", ["case_1_t2.nii.gz", "case_1_seg.nii.gz"])
def test_a_changed_file_is_not_preprocessed_and_the_other_cases_are(checked, tmp_path, name):
    listing, folder = checked
    change(folder / name)
    with pytest.raises(DataError) as caught:
        write_stores(listing.cases, listing, folder, tiny.PREPROCESSING, tmp_path / "stores")
    (problem,) = caught.value.problems
    assert problem.startswith("case_1: Files were changed after pocket-check") and name in problem
    assert listing.cases[1].sha256[name] in problem and sha256(folder / name) in problem
    assert sorted(path.name for path in (tmp_path / "stores").iterdir()) == ["case_0", "case_2"]


def test_a_changed_image_is_not_segmented_and_the_other_cases_are(checked, tmp_path):
    listing, folder = checked
    listing.write(tmp_path / "manifest.json")
    change(folder / "case_1_t2.nii.gz")
    cases, problems = infer._of_manifest(Model(tiny.plan()), tmp_path / "manifest.json", folder, [])
    assert list(cases) == ["case_0", "case_2"] and len(problems) == 1 and "case_1_t2.nii.gz" in problems[0]


@pytest.mark.parametrize("name", ["case_1_seg.nii.gz", "case_1_t1.nii.gz"])
def test_nothing_is_measured_or_drawn_with_a_changed_file(checked, tmp_path, name):
    listing, folder = checked
    for case in listing.cases:
        label = geometry.read(folder / case.label, label=True)
        classes = np.searchsorted(tiny.VALUES, label.data).astype(np.uint8)
        geometry.write_image(tmp_path / "predicted" / f"{case.case}.nii.gz", classes, label.grid)
    change(folder / name)
    with pytest.raises(DataError) as caught:
        evaluate(listing, tmp_path / "manifest.json", folder, Sources([tmp_path / "predicted"]),
                 fake_run.provenance(), tmp_path / "out")
    said = " ".join([str(caught.value), *caught.value.problems])
    assert name in said and listing.cases[1].sha256[name] in said and sha256(folder / name) in said
    assert not (tmp_path / "out" / "metrics.csv").exists()


@dataclasses.dataclass
class Model:
    plan: object


def test_the_volumes_of_one_file_have_its_checksum_and_unrecorded_files_are_not_compared(checked):
    listing, folder = checked
    entry = dataclasses.replace(listing.cases[0], sha256={"case_0_t1.nii.gz": "0" * 64, "absent.nii.gz": "0" * 64})
    check_recorded(entry, folder, ["case_0_t2.nii.gz", "absent.nii.gz"])
    with pytest.raises(AlteredError) as caught:
        check_recorded(entry, folder, ["case_0_t1.nii.gz[0]", "case_0_t1.nii.gz[1]"])
    assert len(caught.value.problems) == 1
