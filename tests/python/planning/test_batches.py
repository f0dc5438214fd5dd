"""Batches of a manifest's cases, for the tasks of the pipeline."""

from dataclasses import replace

import checked
import pytest
from pocketnet.contracts.batches import Batches
from pocketnet.contracts.manifest import ListedSplit, Manifest
from pocketnet.contracts.splits import Fold, Intensity, Splits
from pocketnet.contracts.tasks import CLASSIFICATION, SEGMENTATION
from pocketnet.planning.batches import cases_per_job, write

CASES = [f"case_{index:02d}" for index in range(26)]


def manifest(names, task=SEGMENTATION):
    classes = task == CLASSIFICATION
    return Manifest.from_json({
        "dataset": "made", "layout": "folder", "task": task, "dimensions": 2 if classes else 3, "modalities": ["MRI"],
        "labels": [{"name": name, "value": value, "source_values": [value]}
                   for value, name in enumerate("ab", 0 if classes else 1)],
        "preprocessing": {"crop": "none", "spacing_mm": None, "normalisation": "zscore", "size": [8, 8]},
        "cases": [{"case": name, "images": [f"{name}.nii"], "label": None if classes else f"{name}_label.nii",
                   "sha256": {}, **({"class": "ab"[index % 2]} if classes else {})}
                  for index, name in enumerate(names)]})


def splits(names):
    """Two folds: the test cases are the even and the odd ones."""
    even, odd = tuple(names[::2]), tuple(names[1::2])
    constants = (Intensity("MRI", 0.0, 1.0, -1.0, 1.0),)
    return Splits("made", "every second case", 1, (Fold(0, odd[:-1], odd[-1:], even, constants),
                                                   Fold(1, even[:-1], even[-1:], odd, constants)))


def cases(folder, name):
    return [case.case for case in checked_manifest(folder, name).cases]


def checked_manifest(folder, name):
    return Manifest.parse(checked.read_json(folder / name, "manifest"), name)


def test_each_case_is_in_one_batch_of_each_kind(tmp_path):
    write(manifest(CASES), splits(CASES), 1, tmp_path / "batches")
    index = Batches.parse(checked.read_json(tmp_path / "batches/batches.json", "batches"), "batches.json")
    assert index.cases == 26
    assert [cases(tmp_path / "batches", name) for name in index.preprocess] == [[name] for name in CASES]
    for fold, test in zip(index.folds, (CASES[::2], CASES[1::2]), strict=True):
        assert cases(tmp_path / "batches", fold.manifest) == test
        assert [cases(tmp_path / "batches", batch.manifest) for batch in fold.batches] == [test[:10], test[10:]]
        assert [cases(tmp_path / "batches", name) for batch in fold.batches for name in batch.infer] == [
            [name] for name in test]


def test_few_cases_are_one_batch_of_a_fold(tmp_path):
    write(manifest(CASES), splits(CASES), None, tmp_path / "batches")
    index = Batches.read(tmp_path / "batches/batches.json")
    assert [len(fold.batches) for fold in index.folds] == [1, 1] and len(index.preprocess) == 2
    assert [fold.batches[0].manifest for fold in index.folds] == [fold.manifest for fold in index.folds]


def test_the_predictions_of_a_fold_are_one_batch_if_they_are_one_table(tmp_path):
    write(manifest(CASES, CLASSIFICATION), splits(CASES), 2, tmp_path / "batches")
    index = Batches.read(tmp_path / "batches/batches.json")
    assert len(index.preprocess) == 13
    assert [[len(batch.infer) for batch in fold.batches] for fold in index.folds] == [[1], [1]]


def test_a_batch_depends_on_its_own_cases_only(tmp_path):
    """A case more, and another list of test cases, change the last batch alone."""
    more = [*CASES, "case_99"]
    write(manifest(CASES), splits(CASES), 5, tmp_path / "one")
    listed = replace(manifest(more), split=ListedSplit("listed", ("case_99",)))
    write(listed, splits(more), 5, tmp_path / "other")
    same = {path.name for path in (tmp_path / "one").glob("all-*")
            if path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()}
    assert same == {f"all-{number}.json" for number in range(5)}
    assert cases(tmp_path / "other", "all-5.json") == ["case_25", "case_99"]


@pytest.mark.parametrize(("count", "task", "expected"), [
    (3, SEGMENTATION, 20), (10_000, SEGMENTATION, 20), (20_000, SEGMENTATION, 40), (400, CLASSIFICATION, 1000)])
def test_large_datasets_have_larger_batches(count, task, expected):
    assert cases_per_job(manifest([f"case_{index:05d}" for index in range(count)], task)) == expected
