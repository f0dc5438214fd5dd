"""Windows and mirroring decided on validation cases: the cheapest windows without a loss, mirroring only for a gain."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from pocketnet import Predictor
from pocketnet.cli.decide import main as decide_command
from pocketnet.contracts.decisions import (
    MOST_LOSS,
    WINDOW_CHOICES,
    WORTH,
    Decisions,
    Measured,
    MirroringDecision,
    Operations,
    WindowDecision,
    combined,
    mirrored_of,
    windows_of,
)
from pocketnet.contracts.plan import Plan
from pocketnet.contracts.splits import Splits
from pocketnet.inference.stored import StorePredictor
from pocketnet.inference.use import LEAST_CASES, PASSES, SHARE, Case, Trials, Way, decide_mirroring, decide_windows
from pocketnet.inference.validation import validation_dice
from pocketnet.preprocessing.label_maps import IGNORED
from pocketnet.preprocessing.scan import scan_of
from pocketnet.preprocessing.store import open_stores, write_store
from pocketnet.training.model_folder import ModelFolder

CASES, SHAPE = 6, (18, 13, 22)
PLAN, PADDED = 4 * 16**3, 20 * 16 * 24
"""Voxels that the network computes for a case: 2 × 1 × 2 windows of 16³, or a single one."""


class Spoiled(StorePredictor):
    """Answers with the reference of a store and an error in so many of its voxels with label 1, by way."""

    def __init__(self, model, wrong, plan):
        super().__init__(model)
        self.plan, self.wrong, self.calls = plan, wrong, 0

    def __call__(self, store, tiling=None, mirrored=False):
        self.calls += 1
        classes = store.read_label((0,) * 3, store.shape)
        way = "mirrored" if mirrored else next(
            name for name in WINDOW_CHOICES if self.tiling(store, name) == tiling)
        inside = np.argwhere(classes == 1)
        wrong = self.wrong(store) if callable(self.wrong) else self.wrong
        classes[tuple(inside[: int(wrong.get(way, 0) * len(inside))].T)] = 0
        return classes


def plan_of(**inference) -> Plan:
    plan = tiny.plan(epochs=100, steps_per_epoch=100)  # long enough for all cases
    return dataclasses.replace(plan, inference=dataclasses.replace(plan.inference, **inference))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Cases of 18 × 13 × 22 voxels: multiples of 4, which the network needs, only if padded."""
    folder = tmp_path_factory.mktemp("stores")
    for number in range(CASES):
        image, label = tiny.volume(number, SHAPE)
        write_store(folder, f"case_{number}", ["t1", "t2"], tiny.prepared(image), label, {"ball": 1, "core": 2})
    return open_stores([folder])


@pytest.fixture
def trials(work, stores):

    def make(wrong, plan=None, cases=CASES):
        plan = plan or plan_of()
        predictor = Spoiled(ModelFolder.open(work / "model"), wrong, plan)
        return Trials(predictor, [Case(store, plan.labels) for store in list(stores.values())[:cases]])

    return make


def test_the_cheapest_windows_without_a_loss_are_chosen(trials):
    found = decide_windows(trials({}))
    assert found.chosen == "padded" and found.cases == CASES
    assert [one.way for one in found.tried] == ["plan", "padded"]  # sparse costs as much as plan here
    plan, padded = found.tried
    assert (plan.cost, padded.cost) == (1, pytest.approx(PADDED / PLAN, abs=1e-3))
    assert (plan.dice, padded.dice, padded.worst, padded.limit) == (1, 1, 0, 0)


@pytest.mark.parametrize("wrong, chosen", [({"padded": 0.5, "large": 0.5}, "plan"), ({"plan": 0.5}, "padded"),
                                           ({"plan": 0.5, "padded": 0.5, "large": 0.5}, "padded")])
def test_windows_that_lose_dice_are_refused(trials, wrong, chosen):
    found = decide_windows(trials(wrong))
    assert found.chosen == chosen
    assert all(one.dice - found.tried[0].dice <= -MOST_LOSS for one in found.tried[1:]) == (chosen == "plan")


def test_the_validation_dice_is_of_all_cases_as_decided_without_what_was_not_annotated(trials, stores, monkeypatch):
    """One half of the ball is missed in one way; nothing is predicted twice."""
    asked, all_ = trials({"padded": 0.5}, cases=CASES - 2), list(stores.values())
    decide_windows(asked)
    before = asked.predictor.calls
    way = Way("plan")
    found = validation_dice(asked, all_, way, {})
    assert asked.predictor.calls == before + 2  # those that the windows were not decided on
    assert [one.case for one in found] == list(stores) and {one.dice for one in found} == {1}
    half = validation_dice(asked, all_, Way("padded"), {})
    assert all(one.dice == pytest.approx((2 / 3 + 1) / 2, abs=0.02) for one in half)
    gone = validation_dice(asked, all_, way, {"core": Operations(smallest_mm3=1e6)})
    assert {one.dice for one in gone} == {0.5}

    read = type(all_[0]).read_label
    monkeypatch.setattr(type(all_[0]), "read_label", lambda store, *where: np.where(
        read(store, *where) == 1, IGNORED, read(store, *where)))  # nobody annotated the ball but for its core
    assert {one.dice for one in validation_dice(asked, all_[:1], Way("padded"), {})} == {1}
    monkeypatch.undo()
    monkeypatch.setattr(all_[0], "annotated", ("core",))
    assert validation_dice(asked, all_[:1], Way("padded"), {})[0].dice == 1
    monkeypatch.setattr(all_[0], "annotated", ())
    assert validation_dice(asked, all_[:1], way, {}) == ()


def test_nothing_is_predicted_if_nothing_can_be_saved(trials, monkeypatch):
    asked = trials({})
    monkeypatch.setattr("pocketnet.inference.use.CHEAPER", 0.1)
    found = decide_windows(asked)
    assert found.chosen == "plan" and found.cases == 0 and asked.predictor.calls == 0
    few = trials({}, plan_of(mirrored="auto"), cases=LEAST_CASES - 1)
    assert decide_windows(few) is None and decide_mirroring(few, "plan") is None and few.predictor.calls == 0


def test_a_small_mean_loss_of_cases_that_differ_shows_nothing(trials):
    """Half of the cases gain by padding what the others lose."""
    found = decide_windows(trials(
        lambda store: {"plan" if int(store.case[-1]) % 2 else "padded": 0.1, "large": 0.5}))
    padded = found.tried[1]
    assert found.chosen == "plan" and padded.way == "padded"
    assert abs(padded.dice - found.tried[0].dice) < 0.002 < -padded.limit


@pytest.mark.parametrize("wrong, chosen", [({"padded": 0.5}, True), ({}, False), ({"mirrored": 0.5}, False)])
def test_mirroring_has_to_be_worth_its_cost(trials, wrong, chosen):
    asked = trials(wrong, plan_of(mirrored="auto"))
    found = decide_mirroring(asked, "padded")
    assert found.chosen == chosen and found.cases == CASES
    without, with_ = found.tried
    assert with_.cost == pytest.approx(8 * without.cost, abs=0.01)  # mirrored along three axes
    assert (with_.dice - without.dice >= WORTH) == chosen


def test_mirroring_is_not_asked_for_if_the_plan_or_the_training_says_so(trials):
    assert decide_mirroring(trials({}), "plan") is None  # the plan says no
    plan = plan_of(mirrored="auto")
    still = dataclasses.replace(plan, training=dataclasses.replace(
        plan.training, augmentation=dataclasses.replace(plan.training.augmentation, flip=0.0)))
    assert decide_mirroring(trials({}, still), "plan") is None


@pytest.mark.parametrize("epochs, cases", [(1, LEAST_CASES), (3, 5), (100, CASES)])
def test_the_questions_cost_a_bounded_share_of_the_training(trials, epochs, cases):
    plan = plan_of()
    plan = dataclasses.replace(plan, training=dataclasses.replace(
        plan.training, epochs=epochs, steps_per_epoch=36))
    found = decide_windows(trials({}, plan))
    assert found.cases == cases
    assert cases * (PLAN + PADDED) <= SHARE * PASSES * epochs * 36 * 2 * 16**3 or cases == LEAST_CASES


def test_a_real_network_is_used_as_decided(work, tmp_path):
    """With instance normalisation, which keeps the plan's windows without a decision."""
    value = tiny.splits().to_json()
    value["folds"][0] |= {"train": ["case_4"], "validation": ["case_0", "case_1", "case_2", "case_3"],
                          "test": ["case_5"]}  # enough for a decision
    Splits.from_json(value).write(tmp_path / "splits.json")
    done = CliRunner().invoke(decide_command, [
        "--model", str(work / "model"), "--splits", str(tmp_path / "splits.json"), "--stores", str(work / "stores"),
        "-o", str(tmp_path / "decided")])
    assert done.exit_code == 0 and "windows: " in done.stderr, done.output
    model = ModelFolder.open(tmp_path / "decided")
    found = model.provenance.decisions
    assert found.windows.cases == 4 and not found.postprocessing and found.mirroring is None
    assert {name: checksum for name, checksum in model.sha256.items() if name.startswith("model.")} == {
        name: checksum for name, checksum in ModelFolder.open(work / "model").sha256.items()
        if name.startswith("model.")}

    image, _ = tiny.volume(5)
    before, decided = Predictor.load(work / "model"), Predictor.load(tmp_path / "decided")
    named = Predictor.load(work / "model", windows=found.windows.chosen)
    np.testing.assert_array_equal(decided(image), named(image))
    np.testing.assert_array_equal(before(image), Predictor.load(work / "model", windows="plan")(image))
    store = open_stores([work / "stores"])["case_5"]
    stored = StorePredictor(model)
    raw = decided.__class__([model], decided.options)
    raw.__dict__["operations"] = {}  # a store's prediction is not postprocessed
    np.testing.assert_array_equal(stored(store, stored.tiling(store, found.windows.chosen)), raw(image))


def test_padded_windows_cover_an_image_that_does_not_end_at_zero(work):
    model = ModelFolder.open(work / "model")
    predictor = Predictor([model], dataclasses.replace(Predictor.load(work / "model").options, windows="padded"))
    found = predictor.segment(scan_of(tiny.volume(3, SHAPE)[0], (1, 1, 1)))
    assert found.window == (20, 16, 24) and found.windows == (1, 0) and found.classes.any()
    assert found.need.mib > 0


def test_another_fold_and_a_missing_store_are_refused(work, tmp_path):
    value = tiny.splits().to_json()
    for fold in value["folds"]:
        fold["intensity"][0]["mean"] = 1.0
    Splits.from_json(value).write(tmp_path / "other.json")
    tiny.splits().write(tmp_path / "splits.json")
    (tmp_path / "stores").mkdir()
    for splits, stores, said in (("other.json", work / "stores", "trained on another fold"),
                                 ("splits.json", tmp_path / "stores", "There are no stores here")):
        done = CliRunner().invoke(decide_command, [
            "--model", str(work / "model"), "--splits", str(tmp_path / splits), "--stores", str(stores),
            "-o", str(tmp_path / "out")])
        assert done.exit_code == 3 and said in done.output and not (tmp_path / "out").exists()


def test_several_networks_share_what_all_of_them_decided():
    def decisions(windows, mirroring=None):
        tried = (Measured("plan", 0.8, 0.0, 0.0, 1.0),)
        return Decisions(0, 0, (), windows and WindowDecision(windows, "Why.", 4, tried),
                         None if mirroring is None else MirroringDecision(mirroring, "Why.", 4, tried))

    plan, large, padded = (decisions(one) for one in ("plan", "large", "padded"))
    assert windows_of([padded, large]) == "large" and windows_of([plan, padded]) == "plan"
    assert windows_of([padded, decisions(None)]) is None and windows_of([padded, None]) is None
    assert windows_of([padded]) == "padded"
    auto = plan_of(mirrored="auto")
    assert mirrored_of(auto, [decisions("plan", True), decisions("plan", True)])
    assert not mirrored_of(auto, [decisions("plan", True), decisions("plan", False)])
    assert not mirrored_of(auto, [plan]) and mirrored_of(plan_of(mirrored=True), [plan])
    assert combined([padded, padded]).windows.cases == 4
