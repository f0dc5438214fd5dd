"""The check of a dataset whose cases several processes read: the same files, or the same table of problems."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_run import written
from pocketnet.cli.check import main as check
from pocketnet.cli.read import main as read
from pocketnet.contracts.reading import CheckedCases
from pocketnet.datasets import reading, verify
from spoilt import put, truncate, voxels

CASE = "hippocampus_004"


def run(command, *arguments, code=0):
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


def in_batches(folder: Path, out: Path, *options, size=5, code=0):
    """Check in batches of 5: list the cases, read each batch, and check all of them in `out`/joined."""
    run(check, *options, "--input", folder, "--batches", size, "-o", out / "cases")
    for batch in (out / "cases").glob("batch-*.json"):
        run(read, "--cases", batch, "--input", folder, "-o", out / "read" / batch.name)
    return run(check, *options, "--input", folder, "--checked", out / "read", "-o", out / "joined", code=code)


def same(one: Path, other: Path) -> list[str]:
    """The names of the files in both folders, which must be equal byte for byte."""
    assert written(one) == written(other)
    for name in written(one):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    return written(one)


def count_reads(monkeypatch) -> list[str]:
    """The names of the cases that are read from now on."""
    seen = []
    real = verify.verify
    monkeypatch.setattr("pocketnet.datasets.segmentation.verify",
                        lambda folder, case, rules: seen.append(case.name) or real(folder, case, rules))
    return seen


def test_batches_give_the_files_of_one_check_and_read_each_case_once(hippocampus, tmp_path, monkeypatch):
    shutil.copyfile(hippocampus / f"imagesTr/{CASE}.nii.gz", hippocampus / "imagesTr/hippocampus_001.nii.gz")
    shutil.copyfile(hippocampus / f"labelsTr/{CASE}.nii.gz", hippocampus / "labelsTr/hippocampus_001.nii.gz")
    options = ("--dataset", "hippocampus", "--folds", "3", "--group", r"hippocampus_(\d\d)")
    whole = run(check, *options, "--input", hippocampus, "-o", tmp_path / "whole")
    seen = count_reads(monkeypatch)
    joined = in_batches(hippocampus, tmp_path, *options)
    assert len(seen) == len(set(seen)) == 14
    assert len(list((tmp_path / "read").glob("*.json"))) == 3
    assert same(tmp_path / "whole", tmp_path / "joined") == ["fingerprint.json", "manifest.json"]
    assert [line for line in whole.stderr.splitlines() if "the same image" in line] == [
        line for line in joined.stderr.splitlines() if "the same image" in line] != []


def test_problems_of_all_batches_are_one_table(hippocampus, tmp_path):
    truncate(hippocampus / f"imagesTr/{CASE}.nii.gz")
    voxels(put((3, 4, slice(0, 3)), 7))(hippocampus / "labelsTr/hippocampus_019.nii.gz")
    (hippocampus / "labelsTr/hippocampus_011.nii.gz").unlink()
    options = ("--dataset", "hippocampus", "--quiet")
    whole = run(check, *options, "--input", hippocampus, "-o", tmp_path / "whole", code=3)
    joined = in_batches(hippocampus, tmp_path, *options, code=3)
    assert same(tmp_path / "whole", tmp_path / "joined") == ["problems.csv"]
    assert len((tmp_path / "joined/problems.csv").read_text().splitlines()) == 4
    assert whole.stderr.replace("whole", "joined") == joined.stderr.replace("whole", "joined")


def test_a_file_that_changed_since_and_other_rules_are_read_again(hippocampus, tmp_path, monkeypatch):
    in_batches(hippocampus, tmp_path, "--dataset", "hippocampus")
    image = hippocampus / f"imagesTr/{CASE}.nii.gz"
    voxels(put((3, 4, 5), 77))(image)
    seen = count_reads(monkeypatch)
    for options, expected in (((), 1), (("--labels", "both=1+2"), 14)):
        seen.clear()
        arguments = ("--dataset", "hippocampus", *options, "--input", hippocampus)
        run(check, *arguments, "--checked", tmp_path / "read", "-o", tmp_path / f"again{expected}")
        assert len(seen) == expected
        run(check, *arguments, "-o", tmp_path / f"whole{expected}")
        same(tmp_path / f"whole{expected}", tmp_path / f"again{expected}")


def test_a_new_case_leaves_the_batches_before_it_as_they_are(hippocampus, tmp_path):
    """The pipeline compares a batch by its content."""
    for name, cases in (("many", 14), ("few", 13)):
        index = json.loads((hippocampus / "dataset.json").read_text())
        index["training"] = index["training"][:cases]
        (hippocampus / "dataset.json").write_text(json.dumps(index))
        run(check, "--dataset", "hippocampus", "--input", hippocampus, "--batches", 5, "-o", tmp_path / name)
    assert [(tmp_path / "few" / f"batch-{n}.json").read_bytes() == (tmp_path / "many" / f"batch-{n}.json").read_bytes()
            for n in range(3)] == [True, True, False]


def test_names_that_no_file_can_contain_are_left_to_the_check_itself(hippocampus, tmp_path):
    index = json.loads((hippocampus / "dataset.json").read_text())
    index["labels"]["1"] = "two\nlines"
    (hippocampus / "dataset.json").write_text(json.dumps(index))
    run(check, "--dataset", "nnunet", "--input", hippocampus, "--batches", "auto", "-o", tmp_path / "cases")
    assert list((tmp_path / "cases").glob("*.json")) == []


def test_pictures_of_a_classification_are_read_in_batches(xray_data, tmp_path):
    in_batches(xray_data, tmp_path, "--dataset", "chestxray", size=150)
    run(check, "--dataset", "chestxray", "--input", xray_data, "-o", tmp_path / "whole")
    same(tmp_path / "whole", tmp_path / "joined")
    (one, *_) = CheckedCases.read(next((tmp_path / "read").glob("*.json"))).cases
    assert one.fingerprint and len(one.fingerprint.intensities[0].sample) == 50


@pytest.mark.parametrize("batches", ["0", "-1", "many", "1.5"])
def test_a_size_that_is_no_number_of_cases_is_refused(hippocampus, tmp_path, batches):
    done = run(check, "--dataset", "hippocampus", "--input", hippocampus, "--batches", batches, "-o", tmp_path / "out",
               code=2)
    assert "expected a whole number of at least 1, or auto" in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("task", "cases", "expected"), [
    ("segmentation", 260, 500), ("segmentation", 8_000, 500), ("segmentation", 10_000, 250),
    ("segmentation", 100_000, 31), ("classification", 80_000, 50), ("classification", 100_000, 25)])
def test_many_cases_have_smaller_samples_each(task, cases, expected):
    assert reading.sample(task, cases) == expected
