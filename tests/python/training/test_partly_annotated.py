"""Voxels and labels that nobody annotated: from the check to the patches, the losses and the metrics."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import fake_run
import numpy as np
import pytest
import tiny
from pocketnet.contracts.labels import Label
from pocketnet.contracts.manifest import Manifest
from pocketnet.contracts.plan import Plan
from pocketnet.contracts.splits import Intensity
from pocketnet.datasets import check, presets
from pocketnet.errors import DataError, UsageError
from pocketnet.evaluation import cases as evaluated
from pocketnet.evaluation.cases import Sources
from pocketnet.evaluation.segmentation.evaluate import evaluate
from pocketnet.planning.plan import make_plan
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.dataset import write_stores
from pocketnet.preprocessing.label_maps import IGNORED
from pocketnet.preprocessing.store import open_stores
from pocketnet.training.sampling import PatchSampler
from pocketnet.training.targets import masks, possible_classes

CASES = 4
UNKNOWN = 9
LABELS = tuple(Label.from_json(label) for label in tiny.LABELS)
CONSTANTS = [Intensity("MRI", 0, 1, 0, 1)]
NNUNET = {"channel_names": {"0": "MRI"}, "file_ending": ".nii.gz", "numTraining": CASES,
          "labels": {"background": 0, "ball": 1, "core": 2, "ignore": UNKNOWN}}


def write(folder: Path, changed=lambda number, label: label, index=NNUNET) -> Path:
    """Cases of `tiny` in nnU-Net's layout, with label maps changed by `changed`."""
    (folder / "dataset.json").parent.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(index))
    for number in range(CASES):
        image, label = tiny.volume(number)
        for path, data in ((f"imagesTr/c{number}_0000.nii.gz", image[..., 0]),
                           (f"labelsTr/c{number}.nii.gz", changed(number, label.copy()))):
            (folder / path).parent.mkdir(exist_ok=True)
            geometry.write_image(folder / path, data, geometry.Grid(data.shape, np.eye(4)))
    return folder


def sparse(number: int, label: np.ndarray) -> np.ndarray:
    """A label map of which only every fifth slice is annotated."""
    label[..., [z for z in range(label.shape[2]) if z % 5]] = UNKNOWN
    return label


def lists(folder: Path, text: str) -> Path:
    (folder / "annotated.csv").write_text(f"case,annotated\n{text}")
    return folder


def checked(folder: Path, **options) -> check.Result:
    return check.check(folder, presets.load("nnunet"), **options)


def said(folder: Path, **options) -> list[str]:
    return [problem.problem for problem in checked(folder, **options).problems]


def planned(found: check.Result, **training) -> Plan:
    plan = make_plan(found.manifest, found.fingerprint, "quick", seed=3)
    return replace(plan, training=replace(plan.training, patch=(8, 8, 8), **training))


@pytest.fixture(scope="module")
def scribbled(tmp_path_factory) -> tuple[Path, check.Result]:
    folder = write(tmp_path_factory.mktemp("scribbled"), sparse)
    return folder, checked(folder)


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> tuple[Path, check.Result]:
    """The first half of the cases has only the ball annotated, the other only the core."""
    folder = write(tmp_path_factory.mktemp("listed"),
                   lambda number, label: np.where(label == 1 + (number > 1), label, 0).astype(np.uint8))
    lists(folder, "c0,ball\nc1,ball\nc2,core\nc3,core\n")
    return folder, checked(folder)


def stores_of(folder: Path, found: check.Result, output: Path, plan: Plan) -> dict:
    write_stores(found.manifest.cases, found.manifest, folder, plan.preprocessing, output)
    return open_stores([output])


# The check

def test_an_ignore_label_is_no_class(scribbled):
    _, found = scribbled
    assert found.problems == [] and found.manifest.ignore == check.summary(found)["ignore"] == UNKNOWN
    assert [label.name for label in found.manifest.labels] == ["ball", "core"]
    for number in range(CASES):
        _, label = tiny.volume(number)
        counts = {"ball": int((label[..., ::5] == 1).sum()), "core": int((label[..., ::5] == 2).sum())}
        assert found.fingerprint.cases[f"c{number}"].label_voxels == counts
        sample = found.fingerprint.cases[f"c{number}"].intensities[0].sample
        image = tiny.volume(number)[0][..., ::5, 0][label[..., ::5] > 0]
        assert sorted(sample) == pytest.approx(sorted(image.tolist()))  # of labelled voxels alone


def test_datasets_annotated_in_full_say_nothing_of_it(tmp_path):
    found = checked(write(tmp_path, index=NNUNET | {"labels": {"background": 0, "ball": 1, "core": 2}}))
    plan = planned(found)
    assert not {"ignore", "annotated", "annotation", "known"} & set(json.dumps(
        [found.manifest.to_json(), plan.to_json()]).split('"'))
    (store, *_) = stores_of(tmp_path, found, tmp_path / "stores", plan).values()
    assert store.annotated is None and store.known is None


@pytest.mark.parametrize(("labels", "expected"), [
    ({"ball": 1, "core": 2, "ignore": 2}, "the value 2 of the label `ignore` is also that of class 'core'"),
    ({"ball": 1, "core": 2, "ignore": 0}, "the value 0 of the label `ignore` is also that of the background"),
    ({"ball": 1, "core": 2, "ignore": [3, 4]}, "has one value, not 3, 4"),
])
def test_an_ignore_value_that_means_something_else_is_refused(tmp_path, labels, expected):
    (problem,) = said(write(tmp_path, index={**NNUNET, "labels": {"background": 0, **labels}}))
    assert expected in problem


def test_an_ignore_label_by_option(tmp_path):
    folder = write(tmp_path, sparse, index={**NNUNET, "labels": {"background": 0, "ball": 1, "core": 2}})
    assert all("unknown label 9" in text for text in said(folder))
    assert checked(folder, label_set=f"both=1+2,ignore={UNKNOWN}").manifest.ignore == UNKNOWN
    with pytest.raises(UsageError, match="value 2 of the label `ignore` is also that of class 'core'"):
        checked(folder, label_set="ball=1,core=2,ignore=2")


def test_lists_of_annotated_labels(listed):
    folder, found = listed
    assert found.problems == [] and {case.case: case.annotated for case in found.manifest.cases} == {
        "c0": ("ball",), "c1": ("ball",), "c2": ("core",), "c3": ("core",)}
    assert set(found.fingerprint.cases["c0"].label_voxels) == {"ball"}
    assert [label["not_annotated"] for label in check.summary(found)["labels"]] == [2, 2]


def test_voxels_of_labels_that_the_list_lacks_are_not_used(tmp_path):
    folder = lists(write(tmp_path), "c0,ball\n")
    found = checked(folder)
    (warning,) = [text for text in found.warnings if "c0" in text]
    assert "voxels of 'core', which is not among the case's annotated labels, are not used" in warning
    store = stores_of(folder, found, tmp_path / "stores", planned(found))["c0"]
    assert set(np.unique(store.read_label((0, 0, 0), store.shape))) == {0, 1} and list(store.foreground) == ["ball"]


@pytest.mark.parametrize(("text", "expected"), [
    ("c0,bal\n", "annotated: there is no label 'bal'; known: ball, core"),
    ("c7,ball\n", "there is no such case"),
    ("c0,ball\nc0,core\n", "line 3: c0 is listed twice"),
    ("c0,;\n", "line 2: c0 has no annotated label"),
    ("c0,ball\nc1,ball\nc2,ball\nc3,ball\n", "label 'core' is annotated in no case"),
])
def test_wrong_lists_are_refused(tmp_path, text, expected):
    assert any(expected in problem for problem in said(lists(write(tmp_path), text)))


def test_the_list_is_a_column_of_a_table(tmp_path):
    write(tmp_path)
    with (tmp_path / "dataset.csv").open("w") as handle:
        csv.writer(handle).writerows([["case", "label", "MRI", "annotated"], *(
            [f"c{n}", f"labelsTr/c{n}.nii.gz", f"imagesTr/c{n}_0000.nii.gz", ["", "core; ball", "core", "ball"][n]]
            for n in range(CASES))])
    found = check.check(tmp_path, presets.load("csv"), label_set="ball=1,core=2,ignore=9")
    assert found.manifest.modalities == ("MRI",)
    assert [case.annotated for case in found.manifest.cases] == [None, None, ("core",), ("ball",)]


def test_manifests_say_what_is_possible(listed):
    value = listed[1].manifest.to_json()
    with pytest.raises(DataError, match="c0 has 'bone'"):
        Manifest.from_json(value | {"cases": [value["cases"][0] | {"annotated": ["bone"]}]})
    with pytest.raises(DataError, match="2 is core"):
        Manifest.from_json(value | {"ignore": 2})


# Patches

def test_patches_are_drawn_where_something_was_annotated(scribbled, tmp_path):
    """One slice in five is annotated, and only where x < 4: nearly all random patches would be empty."""
    folder = write(tmp_path, lambda number, label: np.where(
        np.indices(label.shape)[0] < 4, sparse(number, label), UNKNOWN))
    found = checked(folder)
    plan = planned(found, foreground_fraction=0.0, batch=8)
    stores = stores_of(folder, found, tmp_path / "stores", plan)
    sampler = PatchSampler(plan, stores, sorted(stores), CONSTANTS, 0)
    for step in range(1, 4):
        _, target = sampler.batch(step)
        assert target.shape == (8, 8, 8, 8, 3) and (target != 1).any(axis=(1, 2, 3, 4)).all()


def test_a_plan_for_full_annotation_refuses_such_stores(scribbled, tmp_path):
    folder, found = scribbled
    plan = planned(found)
    stores = stores_of(folder, found, tmp_path, plan)
    assert plan.annotation == "partial"
    with pytest.raises(DataError, match="for complete annotation"):
        PatchSampler(replace(plan, annotation=None), stores, sorted(stores), CONSTANTS, 0)


def test_possible_classes():
    target = possible_classes(np.array([0, 1, 2, IGNORED], np.uint8), LABELS, None)
    assert target.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    target = possible_classes(np.array([0, 1, IGNORED], np.uint8), LABELS, ["ball"])
    assert target.tolist() == [[1, 0, 3], [0, 1, 2], [1, 1, 3]]


def test_masks_leave_out_what_is_not_known():
    predicted = np.eye(3)[[1, 2, 1, 0]]
    ball, core = masks(predicted, np.array([1, 1, 0, 2]), LABELS)
    assert ball[0].tolist() == [True, False, True, False] and core[1].tolist() == [False, False, False, True]
    ((found, true),) = masks(predicted, possible_classes(np.array([1, 1, IGNORED, 0]), LABELS, ["ball"]), LABELS)
    assert found.tolist() == [True, False, False, False] and true.tolist() == [True, True, False, False]


# Losses

def softmax(shape, seed=0) -> np.ndarray:
    values = np.exp(2 * np.random.default_rng(seed).standard_normal(shape))
    return (values / values.sum(axis=-1, keepdims=True)).astype(np.float32)


def by_hand(name: str, classes: np.ndarray, probabilities: np.ndarray, annotated: list[int]) -> float:
    """The loss of one sample after its unknown voxels are deleted and its unknown labels added to the background."""
    known = classes != IGNORED
    true, found = classes[known], probabilities[known]
    groups = [[0, *(c for c in range(1, found.shape[-1]) if c not in annotated)], *([c] for c in annotated)]
    found = np.stack([found[:, group].sum(axis=1) for group in groups], axis=1)
    one_hot = np.stack([np.isin(true, group) for group in groups], axis=1).astype(float)
    entropy = -np.log((one_hot * found).sum(axis=1)).mean()
    l2 = (((one_hot - found) ** 2).sum(axis=0) / ((one_hot**2).sum(axis=0) + (found**2).sum(axis=0))).mean()
    dice = (1 - 2 * (one_hot * found).sum(axis=0) / (one_hot.sum(axis=0) + found.sum(axis=0))).mean()
    return {"l2_dice": l2, "cross_entropy": entropy, "dice_cross_entropy": dice + entropy}[name]


@pytest.mark.parametrize("name", ["l2_dice", "cross_entropy", "dice_cross_entropy"])
def test_marginal_losses(name):
    from pocketnet.training.losses import LOSSES, MARGINAL

    rng = np.random.default_rng(1)
    labels = [Label(letter, value, (value,)) for value, letter in enumerate("abc", 1)]
    classes = rng.integers(0, 4, (2, 4, 4, 4))
    probabilities = softmax((2, 4, 4, 4, 4))
    full = np.stack([possible_classes(sample, labels, None) for sample in classes])
    assert float(MARGINAL[name](full, probabilities)) == pytest.approx(
        float(LOSSES[name](classes, probabilities)), rel=1e-5)
    classes[0][np.isin(classes[0], [1, 3])] = 0
    classes[rng.random(classes.shape) < 0.3] = IGNORED
    target = np.stack([possible_classes(classes[0], labels, ["b"]), possible_classes(classes[1], labels, None)])
    expected = np.mean([by_hand(name, classes[0], probabilities[0].astype(float), [2]),
                        by_hand(name, classes[1], probabilities[1].astype(float), [1, 2, 3])])
    assert float(MARGINAL[name](target, probabilities)) == pytest.approx(expected, rel=1e-4)
    nothing = possible_classes(np.full((1, 4, 4, 4), IGNORED), labels, None)
    assert float(MARGINAL[name](nothing, probabilities[:1])) == pytest.approx(0, abs=1e-6)


def test_a_network_learns_from_sparse_slices(scribbled, tmp_path):
    import keras
    from pocketnet.models.build import build
    from pocketnet.training.fit import Trainer

    keras.utils.set_random_seed(1)
    folder, found = scribbled
    plan = planned(found, epochs=3, steps_per_epoch=12, loss="dice_cross_entropy", learning_rate=0.01)
    plan = replace(plan, network=replace(plan.network, feature_maps=4))
    stores = stores_of(folder, found, tmp_path / "stores", plan)
    train, validation = (PatchSampler(plan, stores, cases, CONSTANTS, 0) for cases in (["c0", "c1"], ["c2"]))
    state = Trainer(build(plan.network_of("unet", "pocket")), plan, train, validation, tmp_path / "checkpoints",
                    log=lambda text: None).run()
    losses = [row["loss"] for row in state.history]
    assert losses[-1] < 0.9 * losses[0] and 0 <= state.history[-1]["validation_dice"] <= 1


# Rare labels

@pytest.mark.parametrize("name", ["l2_dice", "cross_entropy", "dice_cross_entropy"])
def test_weights_of_labels(name):
    """A weight of 2 counts a label's channel, and in the cross-entropy its voxels, twice."""
    from pocketnet.training.losses import LOSSES, of_plan

    rng = np.random.default_rng(4)
    classes, found = rng.integers(0, 3, (1, 4, 4, 4)), softmax((1, 4, 4, 4, 3))
    one_hot = np.eye(3)[classes[0].ravel()]
    p, weights = found[0].reshape(-1, 3).astype(float), np.array([1, 1, 2])
    entropies = -(one_hot * np.log(p)).sum(axis=1)
    entropy = np.average(entropies, weights=one_hot @ weights)
    l2 = ((one_hot - p) ** 2).sum(axis=0) / ((one_hot**2).sum(axis=0) + (p**2).sum(axis=0))
    dice = 1 - 2 * (one_hot * p).sum(axis=0) / (one_hot.sum(axis=0) + p.sum(axis=0))
    expected = {"l2_dice": np.average(l2, weights=weights), "cross_entropy": entropy,
                "dice_cross_entropy": np.average(dice, weights=weights) + entropy}[name]
    plan = tiny.plan(loss=name, label_weights={"core": 2.0})
    assert float(of_plan(plan)(classes, found)) == pytest.approx(expected, rel=1e-4)
    full = possible_classes(classes, LABELS, None)
    assert float(of_plan(replace(plan, annotation="partial"))(full, found)) == pytest.approx(expected, rel=1e-4)
    assert of_plan(tiny.plan(loss=name)) is LOSSES[name]
    with pytest.raises(DataError, match=r"label_weights of \['background', 'ball', 'core'\], not of \['bone'\]"):
        tiny.plan(label_weights={"bone": 2.0})


def test_patches_are_balanced_over_labels(tmp_path):
    """One case in four has a core: by case, one patch in eight is centred on a core; balanced over labels, half are."""
    folder = write(tmp_path, lambda number, label: np.where((label == 2) & (number > 0), 1, label).astype(np.uint8),
                   {**NNUNET, "labels": {"background": 0, "ball": 1, "core": 2}})
    found = checked(folder)
    plan = planned(found, foreground_fraction=1.0, batch=64, augmentation=planned(found).training.augmentation.off())
    stores = stores_of(folder, found, tmp_path / "stores", plan)
    shares = []
    for balanced in (None, True):
        one = replace(plan, training=replace(plan.training, balanced_labels=balanced))
        _, classes = PatchSampler(one, stores, sorted(stores), CONSTANTS, 0).batch(1)
        shares.append(float((classes == 2).any(axis=(1, 2, 3)).mean()))
    assert shares[0] < 0.3 and shares[1] > 0.45


# Metrics

def test_metrics_leave_out_what_is_not_known(scribbled, tmp_path):
    """A prediction that is right in the annotated slices alone is perfect."""
    folder, found = scribbled
    label = geometry.read(folder / "labelsTr/c0.nii.gz", label=True)
    predicted = np.where(label.data == UNKNOWN, 2, label.data).astype(np.uint8)
    geometry.write_image(tmp_path / "c0.nii.gz", predicted, label.grid)
    pair = evaluated.read_pair(folder / "labelsTr/c0.nii.gz", tmp_path / "c0.nii.gz", found.manifest.labels,
                               ignore=found.manifest.ignore)
    rows = evaluated.measure_case(*pair, found.manifest.labels)
    assert [(row["dice"], row["hd95_mm"]) for row in rows] == [(1, 0), (1, 0)]
    assert rows[1]["predicted_ml"] == pytest.approx((label.data == 2).sum() / 1000)


def test_metrics_of_annotated_labels_only(listed, tmp_path):
    from pocketnet.evaluation import table

    folder, found = listed
    for case in found.manifest.cases:
        _, label = tiny.volume(int(case.case[1:]))
        grid = geometry.read(folder / case.label, label=True).grid
        geometry.write_image(tmp_path / "predicted" / f"{case.case}.nii.gz", label, grid)
    evaluate(found.manifest, folder / "manifest.json", folder, Sources([tmp_path / "predicted"]),
             fake_run.provenance(), tmp_path / "out")
    rows = table.read(tmp_path / "out" / "metrics.csv")
    assert rows[["case", "label", "dice"]].values.tolist() == [
        ["c0", "ball", 1], ["c1", "ball", 1], ["c2", "core", 1], ["c3", "core", 1]]
