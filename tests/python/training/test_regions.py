"""Labels that overlap: from nnU-Net's `dataset.json` to targets, losses, written label maps and metrics."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import tiny
from pocketnet.contracts import regions
from pocketnet.contracts.decisions import PAPER
from pocketnet.contracts.labels import Label
from pocketnet.contracts.manifest import Manifest
from pocketnet.contracts.plan import Plan
from pocketnet.datasets import labels as choices
from pocketnet.datasets import presets
from pocketnet.errors import DataError, UsageError
from pocketnet.evaluation import cases as evaluated
from pocketnet.inference.ensemble import disagreement
from pocketnet.inference.merge import last_region
from pocketnet.inference.postprocessing import postprocess
from pocketnet.inference.results import volumes
from pocketnet.planning.plan import make_plan
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.label_maps import IGNORED, map_labels, mask
from pocketnet.training import targets
from pocketnet.training.sampling import PatchSampler
from training.test_partly_annotated import CASES, CONSTANTS, NNUNET, checked, stores_of, write

NESTED = {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
CROSSING = {"left": (1, 3), "front": (2, 3)}
BRANCHED = {"lung": (1, 2, 5), "vessel": (2,), "nodule": (5,)}


def labels_of(values) -> tuple[Label, ...]:
    return choices.as_manifest(choices.Classes(values), 1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """nnU-Net's example, small: a ball with a core, of which only the ball's outside has the value 1; ignore is 4."""
    def changed(number, label):
        label[:2] = 4
        return label

    index = {**NNUNET, "labels": {"background": 0, "ball": [1, 2], "core": 2, "ignore": 4},
             "regions_class_order": [1, 2]}
    folder = write(tmp_path_factory.mktemp("regions"), changed, index)
    return folder, checked(folder)


def planned(found, **training) -> Plan:
    plan = make_plan(found.manifest, found.fingerprint, "quick", seed=3)
    return replace(plan, training=replace(plan.training, patch=(8, 8, 8), **training),
                   network=replace(plan.network, feature_maps=4))


# Values

@pytest.mark.parametrize(("values", "parts"), [
    (NESTED, {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}),
    (BRANCHED, {"lung": (1, 2, 3), "vessel": (2,), "nodule": (3,)}),
    (CROSSING, {"left": (1, 3), "front": (2, 3)}),
    ({"both": (7, 9), "seven": (7,), "nine": (9,)}, {"both": (1, 2, 3), "seven": (2,), "nine": (3,)}),
])
def test_stored_maps_keep_every_region(values, parts):
    assert regions.parts(values) == parts
    labels = labels_of(values)
    source = np.array([0, 1, 2, 3, 5, 7, 9])
    stored = map_labels(source, labels)
    for label in labels:
        assert mask(stored, label).tolist() == np.isin(source, values[label.name]).tolist()


@pytest.mark.parametrize("values", [NESTED, BRANCHED])
def test_written_maps_keep_regions_that_contain_each_other(values):
    """The last region that a voxel has is written; it says all the others."""
    labels = labels_of(values)
    source = np.array([0, *sorted({value for own in values.values() for value in own})])
    inside = np.stack([np.isin(source, own) for own in values.values()], axis=-1)
    found = last_region(inside.astype(np.float32))
    assert found.max() <= len(values)
    assert all(mask(found, label).tolist() == inside[:, channel].tolist() for channel, label in enumerate(labels))


def test_the_right_order_that_messages_name_is_accepted():
    for values in (NESTED, BRANCHED, CROSSING):
        shuffled = dict(reversed(values.items()))
        order = regions.outermost_first(shuffled)
        assert choices.Classes.of({name: values[name] for name in order}, list(order.values())).overlap


def test_regions_by_option():
    preset = presets.load("csv")
    assert choices.choose("whole=1+2+3:1,core=2+3:2", preset, None) == {"whole": (1, 2, 3), "core": (2, 3)}
    with pytest.raises(UsageError, match='write "whole=1\\+2\\+3:1,core=2\\+3:2"'):
        choices.choose("core=2+3,whole=1+2+3", preset, None)
    for name, enhancing in (("regions", 4), ("regions_2023", 3)):
        classes = choices.choose(name, presets.load("brats"), None)
        assert classes.overlap and list(classes) == ["whole tumor", "tumor core", "enhancing tumor"]
        assert classes["enhancing tumor"] == (enhancing,) and 2 not in classes["tumor core"]


def test_manifests_and_plans_say_what_is_possible(dataset):
    _, found = dataset
    value = found.manifest.to_json()
    value["labels"][0]["parts"] = [1]
    with pytest.raises(DataError, match=r"the parts \[1, 2\] of the overlapping label 'ball', not \[1\]"):
        Manifest.from_json(value)
    plan = planned(found).to_json()
    assert (plan["network"]["classes"], plan["network"]["head"], plan["training"]["loss"]) == (
        2, "sigmoid", "dice_cross_entropy")
    del plan["network"]["head"]
    with pytest.raises(DataError, match="head that is sigmoid if labels overlap"):
        Plan.from_json(plan)


# Targets and losses

def test_targets():
    labels = labels_of(NESTED)
    target = targets.regions(np.array([0, 1, 3, IGNORED], np.uint8), labels, None)
    assert target.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 1], [2, 2, 2]]
    partly = targets.regions(np.array([0, 2, IGNORED], np.uint8), labels, ["core"])
    assert partly.tolist() == [[2, 0, 2], [2, 1, 2], [2, 2, 2]]
    assert targets.drawn(target, labels).tolist() == [0, 1, 3, 0]


@pytest.mark.parametrize("name", ["l2_dice", "cross_entropy", "dice_cross_entropy"])
def test_losses(name):
    """Each region by itself, over the voxels where it is known."""
    from pocketnet.training.losses import REGION

    rng = np.random.default_rng(2)
    labels = labels_of(NESTED)
    classes = rng.integers(0, 4, (2, 4, 4, 4)).astype(np.uint8)
    classes[rng.random(classes.shape) < 0.2] = IGNORED
    found = rng.uniform(0.01, 0.99, (*classes.shape, 3)).astype(np.float32)
    annotated = [["core"], None]
    target = np.stack([targets.regions(*pair) for pair in zip(classes, [labels] * 2, annotated, strict=True)])
    expected = []
    for sample, probabilities, names in zip(classes, found, annotated, strict=True):
        known = sample != IGNORED
        overlap, entropies = [], []
        for channel, label in enumerate(labels):
            if names and label.name not in names:
                continue
            p, t = probabilities[known][:, channel].astype(float), mask(sample, label)[known].astype(float)
            entropies.append(-(t * np.log(p) + (1 - t) * np.log(1 - p)).mean())
            overlap.append(((t - p) ** 2).sum() / ((t**2).sum() + (p**2).sum()) if name == "l2_dice" else
                           1 - 2 * (t * p).sum() / (t.sum() + p.sum()))
        expected.append((np.mean(overlap) if "dice" in name else 0) + (
            np.mean(entropies) if "cross" in name else 0))
    assert float(REGION[name](target, found)) == pytest.approx(np.mean(expected), rel=1e-4)


def test_a_network_learns_regions(dataset, tmp_path):
    from pocketnet.models.build import build
    from pocketnet.training.fit import Trainer

    folder, found = dataset
    assert found.problems == [] and found.manifest.ignore == 4
    plan = planned(found, epochs=3, steps_per_epoch=4, learning_rate=0.01, deep_supervision=True)
    plan = replace(plan, network=replace(plan.network, depth=2, pooling=((2, 2, 2), (2, 2, 2))))
    stores = stores_of(folder, found, tmp_path / "stores", plan)
    assert {name: len(voxels) > 0 for name, voxels in stores["c0"].foreground.items()} == {"ball": True, "core": True}
    train, validation = (PatchSampler(plan, stores, cases, CONSTANTS, 0) for cases in (["c0", "c1"], ["c2"]))
    model = build(plan.network_of("unet", "pocket"))
    history = Trainer(model, plan, train, validation, tmp_path / "checkpoints", log=lambda text: None).run().history
    assert model.output.shape[-1] == 2 and all(a["loss"] > b["loss"] for a, b in pairwise(history))
    probabilities = model.predict_on_batch(train.batch(1)[0])
    assert probabilities.min() >= 0 and probabilities.max() <= 1 and not np.allclose(probabilities.sum(axis=-1), 1)


# Results

def test_the_last_region_is_written():
    probabilities = np.array([[0.4, 0.1], [0.6, 0.2], [0.6, 0.7], [0.3, 0.9]], np.float32)
    assert last_region(probabilities).tolist() == [0, 1, 2, 2]


def test_the_largest_component_is_that_of_the_whole_region():
    """The written ring falls apart where the core touches the border of the ball; the ball does not."""
    labels = labels_of({"ball": (1, 2), "core": (2,)})
    classes = np.zeros((12, 3, 3), np.uint8)
    classes[1:7], classes[3:5] = 1, 2   # a ball in three slabs
    classes[8], classes[10] = 1, 2      # smaller ones, the second with a core
    expected = classes.copy()
    expected[8:] = 0
    assert (postprocess(classes, labels, {label.name: PAPER for label in labels}, None) == expected).all()


def test_volumes_are_those_of_whole_regions():
    classes = np.array([[[0, 1, 2, 3, 3]]], np.uint8)
    assert [row["voxels"] for row in volumes(classes, (1, 1, 1), labels_of(NESTED)).values()] == [4, 3, 2]


def test_disagreement_of_regions():
    """Two predictions that say the opposite of one region differ as much as two can; equal ones do not differ."""
    p = np.float32([0.0, 1.0])
    merged = np.stack([np.full(2, p.mean()), p * 0, np.zeros(2)], axis=-1).astype(np.float32)
    assert disagreement(merged, 2, regions=True) == pytest.approx(1)
    same = np.float32([[0.0, 1.0, 0.0]])
    assert disagreement(same, 2, regions=True) == pytest.approx(0, abs=1e-6)


def test_metrics_are_those_of_whole_regions(dataset, tmp_path):
    """A prediction of the ball alone is right about the ball and wrong about its core."""
    folder, found = dataset
    _, label = tiny.volume(0)
    geometry.write_image(tmp_path / "c0.nii.gz", (label > 0).astype(np.uint8), geometry.Grid(label.shape, np.eye(4)))
    pair = evaluated.read_pair(folder / "labelsTr/c0.nii.gz", tmp_path / "c0.nii.gz", found.manifest.labels,
                               ignore=found.manifest.ignore)
    ball, core = evaluated.measure_case(*pair, found.manifest.labels)
    assert (ball["dice"], core["dice"]) == (1, 0) and len(found.manifest.cases) == CASES
    assert ball["reference_ml"] == pytest.approx((label[2:] > 0).sum() / 1000)
