"""The words of the verdict follow from interval and equivalence test, not from a large p."""

from dataclasses import replace

import pytest
from pocketnet.contracts.comparison import Comparison, Equivalence, MetricSummary, NetworkRow, Pair
from pocketnet.contracts.tasks import CLASSIFICATION, SEGMENTATION, TASKS
from pocketnet.evaluation.verdict import headline_pairs, verdict


def pair(difference=-0.004, interval=(-0.006, -0.002), p_equivalence=0.001, p_value=0.2, n=50):
    same = Equivalence(0.01, p_equivalence, p_equivalence is not None and p_equivalence < 0.05)
    return Pair("unet", "pocket", "full", "mean", "dice", n, difference, interval, p_value, equivalence=same)


def compared(*networks, task="segmentation"):
    return Comparison("balls", "quick", ("c0de",), networks, (), task=task)


@pytest.mark.parametrize("given, kind, title, text", [
    (pair(interval=(-0.006, 0.001)), "equivalent", "as accurate as", "Equivalent within ±0.01 Dice"),
    (pair(), "equivalent", "as accurate as", "measurably below"),
    (pair(interval=(0.002, 0.006)), "equivalent", "as accurate as", "measurably above"),
    (pair(-0.03, (-0.04, -0.02), 0.9), "worse", "3.0 Dice points below the full U-Net", "not shown"),
    (pair(0.03, (0.02, 0.04), 0.9), "better", "3.0 Dice points above the full U-Net", "not shown"),
    (pair(interval=(-0.02, 0.02), p_equivalence=0.4, p_value=0.8), "open", "nor equivalence shown", "p 0.800"),
    (pair(interval=None, p_equivalence=None, n=1), "open", "Too few cases", "1 paired"),
    (pair(0.018, (0.01, 0.027), 0.9, n=3), "open", "Only 3 cases: too few", "Mean Dice difference +0.0180"),
    (pair(n=19), "open", "Only 19 cases", "says much"),
    (pair(n=20), "equivalent", "as accurate as", "20 paired cases"),
    (pair(None, None, None, None, 0), "none", "cannot be compared", "No case"),
])
def test_verdict(given, kind, title, text):
    outcome = verdict(given, compared())
    assert outcome["kind"] == kind
    assert title in outcome["title"] and text in outcome["text"]


def whole(task, summary):
    """The metrics of a network; the verdict reads the first."""
    return dict.fromkeys(TASKS[task].metrics, summary)


@pytest.mark.parametrize("means, title", [
    ((0.0, 0.0), "Neither the pocket U-Net nor the full U-Net finds the labels"),
    ((0.004, 0.009), "Neither"),
    ((0.0, 0.9), "as accurate as"), ((0.9, 0.0), "as accurate as"), ((None, 0.0), "as accurate as"),
])
def test_two_networks_that_find_nothing_are_not_as_accurate(means, title):
    rows = [NetworkRow("unet", width, 1000, (0,), 50, "mean",
                       whole(SEGMENTATION, MetricSummary(mean, 0.0, mean, 50, 0)))
            for width, mean in zip(("full", "pocket"), means, strict=True)]
    others = [replace(row, arch="resnet", metrics=whole(SEGMENTATION, MetricSummary(0.9, 0.0, 0.9, 50, 0)))
              for row in rows]
    outcome = verdict(pair(0.0, (0.0, 0.0), 0.0, None), compared(*others, *rows))
    assert title in outcome["title"] and (outcome["kind"] == "equivalent") == (title == "as accurate as")


@pytest.mark.parametrize("means, title", [
    ((0.5, 0.48), "Neither the pocket U-Net nor the full U-Net tells the classes apart"),
    ((0.5, 0.9), "as accurate as"),
])
def test_two_classifiers_that_guess_are_not_as_accurate(means, title):
    rows = [NetworkRow("unet", width, 1000, (0,), 50, "ill",
                       whole(CLASSIFICATION, MetricSummary(mean, None, None, 50, 0)))
            for width, mean in zip(("full", "pocket"), means, strict=True)]
    given = replace(pair(0.0, (-0.001, 0.001), 0.0, None), label="ill", metric="auc")
    outcome = verdict(given, compared(*rows, task="classification"))
    assert title in outcome["title"] and "AUC difference +0.0000 for class ill" in outcome["text"]


def test_headlines_are_dice_over_labels():
    other = (replace(pair(), label="Anterior"), replace(pair(), metric="asd_mm"))
    assert headline_pairs(Comparison("balls", "quick", ("c0de",), (), (*other, pair()))) == [pair()]
