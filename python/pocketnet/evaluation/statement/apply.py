"""Make the statement on a predicted case: plain arithmetic on `calibration.json` and the features of the prediction.

1. z = (feature − mean) / scale; distance = √(zᵀ · precision · z / features), of the image and of each label.
2. A distance above its limit is a reason to look. trust = min(1, 2 · limit / distance of the image)
   · min(1, 2 · limit / distance of the label): beyond twice the limits no calibration case tells, so expectations fall
   in proportion.
3. expected Dice = trust · (intercept + Σ weight · z, cut to 0…1); lower bound = expected Dice − margin, at least 0.
4. volume interval = predicted volume · exp(limit / trust).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ...contracts.calibration import Calibration, LabelCalibration, Novelty, Standard, needed
from ...contracts.features import CaseFeatures, Features
from ...text import counted

Flag = Literal["accept", "look", "reject"]
FAR = 2.0
"""Trust falls beyond so many times the limit of a distance."""
LEAST_TRUST = 0.1
"""Trust is not below this, so that volume intervals stay finite."""
MOST_TOLD = 3
"""Maximum number of unusual features that a reason names."""


@dataclass(frozen=True)
class LabelStatement:
    """The statement on one label.

    Attributes:
        expected_dice: None if the network did not find the label, or no calibration case had it.
        dice_low: Lower bound of the Dice; None without one.
        volume_ml: Interval of the true volume in mL; None without one.
    """

    expected_dice: float | None
    dice_low: float | None
    volume_ml: tuple[float, float] | None


@dataclass(frozen=True)
class Statement:
    """The statement on a case.

    Attributes:
        flag: What to do with the case.
        reasons: Why it is not accepted; none if it is.
        coverage: Stated coverage of bounds and intervals.
        labels: By name of the label.
    """

    flag: Flag
    reasons: tuple[str, ...]
    coverage: float
    labels: Mapping[str, LabelStatement]

    def to_json(self) -> dict[str, Any]:
        """Return the statement as a JSON object."""
        return asdict(self)

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Statement:
        """Return the statement of a JSON object."""
        labels = {name: LabelStatement(**one) for name, one in value["labels"].items()}
        return cls(value["flag"], tuple(value["reasons"]), value["coverage"], labels)

    def of_labels(self) -> list[str]:
        """Return a line per label on which there is something to say."""
        return [f"{name}: {words}" for name in self.labels if (words := self.of_label(name))]

    def lines(self) -> list[str]:
        """Return the statement in words: the flag, each label, the reasons."""
        return [self.flag.upper(), *self.of_labels(), *self.reasons]

    def of_label(self, name: str) -> str:
        """Return the statement on a label in words; empty if there is nothing to say."""
        one = self.labels[name]
        if one.expected_dice is None:
            return ""
        words = [f"expected Dice {one.expected_dice:.2f}"]
        if one.dice_low is not None:
            words.append(f"at least {one.dice_low:.2f}")
        if one.volume_ml is not None:
            words.append(f"volume {one.volume_ml[0]:.4g} to {one.volume_ml[1]:.4g} mL")
        return ", ".join(words) + (f" ({self.coverage:.0%} coverage)" if len(words) > 1 else "")


def standardised(standard: Standard, features: Features) -> np.ndarray:
    """Return z of each feature; a feature that is missing counts as its mean."""
    values = np.array([features.get(name, mean) for name, mean in zip(standard.features, standard.mean, strict=True)])
    return (values - np.array(standard.mean)) / np.array(standard.scale)


def distance(novelty: Novelty, features: Features) -> float:
    """Return the distance from the calibration cases."""
    z = standardised(novelty.standard, features)
    return math.sqrt(max(0.0, float(z @ np.array(novelty.precision) @ z)) / z.size)


def trust(novelty: Novelty, features: Features) -> float:
    """Return 1 up to `FAR` times the limit of a novelty, and less in proportion beyond."""
    found, far = distance(novelty, features), FAR * novelty.limit
    return 1.0 if found <= far else far / found


def of_label(known: LabelCalibration, features: Features | None, volume_ml: float, image_trust: float
             ) -> LabelStatement:
    """Return the statement on a label.

    Args:
        known: Its calibration.
        features: Its features; None if the network did not find it.
        volume_ml: Its predicted volume in mL.
        image_trust: Trust by the features of the images.
    """
    if features is None or not volume_ml or known.dice is None or known.novelty is None:
        return LabelStatement(None, None, None)
    trusted = max(LEAST_TRUST, image_trust * trust(known.novelty, features))
    linear = known.dice.intercept + float(standardised(known.dice.standard, features) @ np.array(known.dice.weights))
    expected = trusted * min(1.0, max(0.0, linear))
    low = None if known.dice.margin is None else min(1.0, max(0.0, expected - known.dice.margin))
    interval = None
    if known.volume is not None:
        bottom, top = known.volume
        interval = (0.0 if bottom is None else volume_ml * math.exp(bottom / trusted),
                    volume_ml * math.exp(min(700.0, top / trusted)))
    return LabelStatement(expected, low, interval)


def statement(known: Calibration, found: CaseFeatures, volumes: Mapping[str, float], unlike: Sequence[str] = (),
              accept: float | None = None, reject: float | None = None) -> Statement:
    """Return the statement on a case.

    Args:
        known: The calibration of the network that predicted it.
        found: The features of the prediction.
        volumes: Predicted volume of each label in mL.
        unlike: Warnings about images outside the ranges of the training images.
        accept: A lower bound of a Dice below this is a reason to look; None for the calibration's threshold.
        reject: An expected Dice below this is a reason to reject; None for the calibration's threshold.
    """
    accept = known.accept if accept is None else accept
    reject = known.reject if reject is None else reject
    image_trust = trust(known.image, found.image)
    labels = {one.label: of_label(one, found.labels.get(one.label), volumes[one.label], image_trust)
              for one in known.labels}
    rejecting = [f"{name}: expected Dice {one.expected_dice:.2f}, below your {reject:g}" for name, one in labels.items()
                 if one.expected_dice is not None and one.expected_dice < reject]
    looking = [*unlike, *_unusual("the image", known.image, found.image)]
    for one in known.labels:
        looking += _doubts(one, found.labels.get(one.label), labels[one.label], known.coverage, accept)
    flag: Flag = "reject" if rejecting else "look" if looking else "accept"
    return Statement(flag, (*rejecting, *looking), known.coverage, labels)


def _doubts(known: LabelCalibration, features: Features | None, said: LabelStatement, coverage: float, accept: float
            ) -> list[str]:
    """Return the reasons to look at a label."""
    least = needed(coverage)
    if said.expected_dice is None or features is None or known.novelty is None:
        if known.absent >= least and known.absent_rightly >= coverage * known.absent:
            return []
        return [f"{known.label}: not found, as in {known.absent} calibration cases, rightly in {known.absent_rightly}"]
    out = _unusual(f"the prediction of {known.label}", known.novelty, features)
    if said.dice_low is None:
        out.append(f"{known.label}: no bound, because {counted(known.cases, 'calibration case')} of at least {least} "
                   f"needed for {coverage:.0%} are there")
    elif said.dice_low < accept:
        out.append(f"{known.label}: lower bound {said.dice_low:.2f}, below your {accept:g}")
    return out


def _unusual(what: str, novelty: Novelty, features: Features) -> list[str]:
    """Return a reason if the features are further from the calibration cases than the limit."""
    found = distance(novelty, features)
    if found <= novelty.limit:
        return []
    z = standardised(novelty.standard, features)
    most = [index for index in np.argsort(-np.abs(z))[:MOST_TOLD] if abs(z[index]) >= 2]
    names = [f"{novelty.standard.features[index]} {z[index]:+.1f} sd" for index in most]
    return [f"{what} is unlike the calibration cases: distance {found:.1f}, limit {novelty.limit:.1f}"
            + (f" ({', '.join(names)})" if names else "")]
