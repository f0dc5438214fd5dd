"""The statement with each case: its arithmetic, its coverage on made cases, and what it says without enough of them."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from pocketnet.contracts.calibration import Calibration, ExpectedDice, LabelCalibration, Novelty, Standard, needed
from pocketnet.contracts.features import CaseFeatures
from pocketnet.evaluation.statement import apply, fit, held_out

STANDARD = Standard(("soft_dice", "entropy"), (0.9, 0.5), (0.1, 0.25))
IMAGE = Novelty(Standard(("low",), (0.0,), (2.0,)), ((1.0,),), 1.5)
LABEL = LabelCalibration(
    "organ", 30, ExpectedDice(STANDARD, (0.05, -0.02), 0.8, 0.1), (math.log(0.9), math.log(1.2)),
    Novelty(STANDARD, ((1.0, 0.0), (0.0, 1.0)), 2.0), 0, 0, None)
KNOWN = Calibration("made", "unet", "pocket", (0, 1), ("a", "b"), 1, 30, 0.9, 0.65, 0.5, IMAGE, (LABEL,), None)


def features(soft_dice=0.9, entropy=0.5, low=0.0):
    return CaseFeatures(1, {"low": low}, {"organ": {"soft_dice": soft_dice, "entropy": entropy}})


def made(number: int, folds: int = 5, seed: int = 1, noise: float = 0.02) -> list[fit.Case]:
    """Cases whose Dice is 0.8 · soft_dice + 0.1 with noise, in pairs of one patient; the true volume is 10 % off."""
    random = np.random.default_rng(seed)
    cases = []
    for index in range(number):
        soft, true_ml = random.normal(0.9, 0.05), random.uniform(1, 3)
        dice = min(1.0, 0.1 + 0.8 * soft + random.normal(0, noise))
        found = {"soft_dice": soft, "entropy": 1 - soft + random.normal(0, 0.01), "volume": math.log(true_ml)}
        image = {"low": random.normal(), "high": random.normal()}
        cases.append(fit.Case(f"case_{index:03}", index // 2 % folds, f"patient_{index // 2}",
                              CaseFeatures(1, image, {"organ": found}),
                              {"organ": fit.Truth(dice, true_ml, true_ml * math.exp(random.normal(0, 0.1)))}))
    return cases


def calibrated(cases: list[fit.Case], coverage: float = 0.9) -> Calibration:
    image, labels = fit.fit(cases, ["organ"], coverage)
    folds = sorted({case.fold for case in cases})
    known = Calibration("made", "unet", "pocket", tuple(folds), tuple(map(str, folds)), 1, len(cases), coverage, 0.75,
                        0.5, image, tuple(labels), None)
    return held_out.measured(known, list(held_out.statements(known, cases)))


def test_the_arithmetic_by_hand():
    said = apply.statement(KNOWN, features(soft_dice=1.0, entropy=1.0), {"organ": 2.0})
    one = said.labels["organ"]
    assert one.expected_dice == pytest.approx(0.8 + 0.05 * 1 - 0.02 * 2)
    assert one.dice_low == pytest.approx(0.71) and one.volume_ml == pytest.approx((1.8, 2.4))
    assert said.flag == "accept" and not said.reasons
    words = "organ: expected Dice 0.81, at least 0.71, volume 1.8 to 2.4 mL (90% coverage)"
    assert said.lines() == ["ACCEPT", words]
    assert apply.Statement.of_json(json.loads(json.dumps(said.to_json()))).lines() == said.lines()


def test_the_distance_is_the_root_of_the_mean_square_of_independent_features():
    assert apply.distance(LABEL.novelty, {"soft_dice": 1.0, "entropy": 1.0}) == pytest.approx(math.sqrt((1 + 4) / 2))


@pytest.mark.parametrize("found, given, flag, reason", [
    (features(), {"accept": 0.75}, "look", "organ: lower bound 0.70, below your 0.75"),
    (features(), {"reject": 0.85}, "reject", "organ: expected Dice 0.80, below your 0.85"),
    (features(low=4.0), {}, "look", "the image is unlike the calibration cases: distance 2.0, limit 1.5 (low +2.0 sd)"),
    (features(soft_dice=1.2), {"accept": 0.6}, "look",
     "the prediction of organ is unlike the calibration cases: distance 2.1, limit 2.0 (soft_dice +3.0 sd)"),
    (features(), {"unlike": ["voxel spacing unlike that of the 3 training images"]}, "look",
     "voxel spacing unlike that of the 3 training images"),
    (CaseFeatures(1, {"low": 0.0}, {}), {}, "look",
     "organ: not found, as in 0 calibration cases, rightly in 0"),
])
def test_each_doubt_has_its_reason(found, given, flag, reason):
    said = apply.statement(KNOWN, found, {"organ": 2.0}, **given)
    assert (said.flag, said.reasons) == (flag, (reason,))


def test_far_beyond_the_limits_expectations_fall_and_intervals_widen():
    near, far = (apply.statement(KNOWN, features(low=low), {"organ": 2.0}).labels["organ"] for low in (0.0, 12.0))
    assert far.expected_dice == pytest.approx(near.expected_dice / 2)  # distance 6, twice the limit is 3
    assert far.volume_ml == pytest.approx((2 * 0.9**2, 2 * 1.2**2))


def test_a_label_that_is_rightly_missing_as_often_as_stated_is_no_reason_to_look():
    known = dataclasses.replace(KNOWN, labels=(dataclasses.replace(LABEL, absent=40, absent_rightly=38),))
    assert apply.statement(known, CaseFeatures(1, {"low": 0.0}, {}), {"organ": 0.0}).flag == "accept"


def test_the_quantile_is_that_of_split_conformal_prediction():
    assert fit.quantile(range(1, 20), 0.9) == 18  # ⌈20 · 0.9⌉
    assert fit.quantile(range(1, 10), 0.9) == 9 and fit.quantile(range(1, 9), 0.9) is None


def test_bounds_and_intervals_hold_for_new_cases_as_often_as_stated():
    known = calibrated(made(200))
    new = made(1000, seed=2)
    said = [(case, apply.statement(known, case.features, {"organ": case.labels["organ"].predicted_ml}, accept=0.5))
            for case in new]
    held = [case.labels["organ"].dice >= one.labels["organ"].dice_low for case, one in said]
    intervals = [one.labels["organ"].volume_ml for _, one in said]
    inside = [low <= case.labels["organ"].reference_ml <= high
              for case, (low, high) in zip(new, intervals, strict=True)]
    assert np.mean(held) == pytest.approx(0.9, abs=0.06) and np.mean(inside) == pytest.approx(0.9, abs=0.06)
    measured = known.labels[0].held_out
    assert measured.coverage == pytest.approx(0.9, abs=0.03) and measured.cases == 200
    assert measured.correlation > 0.8 and 0 < measured.gap < 0.05
    assert np.mean([one.flag == "accept" for _, one in said]) > 0.94  # 3 % may be unlike the calibration cases
    assert known.flags.accept + known.flags.look + known.flags.reject == 200


def test_more_confident_predictions_are_never_expected_to_be_worse():
    known = calibrated(made(60))
    expected = [apply.statement(known, features(soft, 1 - soft), {"organ": 1.0}).labels["organ"].expected_dice
                for soft in np.linspace(0.85, 0.95, 11)]
    assert expected == sorted(expected)


def test_the_risk_falls_where_the_bound_rises():
    curve = calibrated(made(200)).labels[0].held_out.risk
    assert curve[0][1] < curve[-1][1] and curve[-1][0] == 1.0
    assert [share for share, _ in curve] == sorted(share for share, _ in curve)


@pytest.mark.parametrize("coverage, least", [(0.9, 20), (0.8, 20), (0.95, 40), (0.99, 200)])
def test_a_bound_needs_cases(coverage, least):
    assert needed(coverage) == least


def test_few_cases_give_no_bound_and_say_so():
    known = calibrated(made(19))
    assert known.labels[0].dice.margin is None and known.labels[0].volume is None
    assert known.labels[0].held_out is None and known.flags is None
    case = made(1)[0]
    said = apply.statement(known, case.features, {"organ": 1.0})
    assert said.flag == "look" and said.labels["organ"].dice_low is None and said.labels["organ"].volume_ml is None
    assert "organ: no bound, because 19 calibration cases of at least 20 needed for 90% are there" in said.reasons


@pytest.mark.parametrize("number", range(1, 7))
def test_a_handful_of_cases_is_enough_for_a_statement_without_a_bound(number):
    case = made(1)[0]
    assert apply.statement(calibrated(made(number, folds=2)), case.features, {"organ": 1.0}).flag == "look"


def test_two_scans_of_a_patient_count_once():
    assert calibrated(made(38)).labels[0].dice.margin is None  # 19 patients
    assert calibrated(made(40)).labels[0].dice.margin is not None


def test_a_single_fold_is_left_out_by_parts_that_keep_patients_together():
    cases = made(60, folds=1)
    parts = list(fit.parts(cases))
    assert len(parts) == fit.PARTS and sum(len(part) for _, part in parts) == 60
    for rest, part in parts:
        assert not {case.group for case in rest} & {case.group for case in part}
    assert calibrated(cases).labels[0].held_out.cases == 60


def test_a_reference_without_the_label_lets_the_true_volume_be_zero():
    cases = [dataclasses.replace(case, labels={"organ": fit.Truth(0.0, 0.0, 1.0)}) if index < 10 else case
             for index, case in enumerate(made(40))]
    known = calibrated(cases)
    assert known.labels[0].volume[0] is None
    said = apply.statement(known, cases[20].features, {"organ": 2.0}).labels["organ"]
    assert said.volume_ml[0] == 0.0 and said.dice_low < 0.5


def test_a_label_that_no_case_has_gives_no_expectation():
    cases = [dataclasses.replace(case, features=CaseFeatures(1, case.features.image, {}),
                                 labels={"organ": fit.Truth(math.nan, 0.0, 0.0)}) for case in made(30)]
    known = calibrated(cases)
    assert (known.labels[0].absent, known.labels[0].absent_rightly, known.labels[0].dice) == (30, 30, None)
    assert apply.statement(known, cases[0].features, {"organ": 0.0}).flag == "accept"
