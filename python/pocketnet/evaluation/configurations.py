"""Choose between the 2D and the 3D configuration of a network by the validation Dice of its trainings.

The pairs are all validation cases of all folds, each predicted by both networks of the fold. Test cases are not used.
All folds of a network get the same configuration: the one with the higher mean.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ..contracts.configuration import ConfigurationChoice, ConfigurationDice, Dimensions
from ..contracts.plan import Plan
from ..contracts.provenance import Provenance
from ..errors import DataError, UsageError
from ..models.widths import configuration_of, configured, policy_of
from ..text import counted
from .layout import interval_text, number
from .statistics import compare_paired

Scores = dict[tuple[int, str], float]
"""Validation Dice by fold and case."""
CHOSEN, NOT_CHOSEN = "chosen", "not chosen"


class Trained(Protocol):
    """A trained network, such as a `ModelFolder`."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def plan(self) -> Plan:
        """Its plan."""

    @property
    def provenance(self) -> Provenance:
        """Its provenance."""


def choose(models: Sequence[Trained], groups: Mapping[str, str] | None = None) -> tuple[ConfigurationChoice, ...]:
    """Choose the configuration of each network that was trained in both.

    Args:
        models: Networks of all folds; those whose plan has one configuration are left out.
        groups: What each case belongs to (`contracts.groups.together`), for the intervals; None: only to itself.

    Raises:
        UsageError: A network was trained in one of its configurations only, or a fold is given twice.
        DataError: A model has no validation Dice.
    """
    found: dict[tuple[str, str], dict[Dimensions, Scores]] = defaultdict(lambda: defaultdict(dict))
    for model in models:
        run, configuration = model.provenance, model.plan.configuration
        if configuration is None or configuration.beside is None:
            continue
        scores = found[run.arch, policy_of(run.width)][configuration.name]
        if any(fold == run.fold for fold, _ in scores):
            raise UsageError(f"{run.arch} {run.width} is given twice for fold {run.fold}.", where=str(model.path),
                             todo="Give each model folder once.")
        scores |= {(run.fold, case): dice for case, dice in _measured(model).items()}
    return tuple(_choice(arch, width, results, groups or {}) for (arch, width), results in sorted(found.items()))


def _measured(model: Trained) -> dict[str, float]:
    """Return the validation Dice of a model by case."""
    decisions = model.provenance.decisions
    if decisions is None or not decisions.validation:
        raise DataError("This model has no validation Dice to choose a configuration by.", where=str(model.path),
                        todo="pocket-train measures it; pocket-decide adds it.")
    return {one.case: one.dice for one in decisions.validation}


def _choice(arch: str, width: str, results: Mapping[Dimensions, Scores], groups: Mapping[str, str]
            ) -> ConfigurationChoice:
    names = sorted(results)
    pairs = sorted(set.intersection(*(set(scores) for scores in results.values())))
    if len(names) < 2 or not pairs:
        said = f"in {names[0]}" if len(names) < 2 else "in different folds"
        raise UsageError(f"{arch} {width} was trained {said} only, so its configurations cannot be compared.",
                         todo="Give the models of 2d and 3d of the same folds to --models.")
    sides = {name: [results[name][pair] for pair in pairs] for name in names}
    means = {name: float(np.mean(values)) for name, values in sides.items()}
    other, chosen = sorted(names, key=lambda name: means[name])  # of equal ones, 3D
    cases = [groups.get(case, case) for _, case in pairs]
    paired = compare_paired(sides[other], sides[chosen], clusters=cases)
    folds = tuple(sorted({fold for fold, _ in pairs}))
    difference = means[chosen] - means[other]
    reason = (f"Mean validation Dice {number(means[chosen], 'dice')} against {number(means[other], 'dice')} in "
              f"{other.upper()}, {counted(len(pairs), 'validation case')} of {counted(len(folds), 'fold')}: difference "
              f"{number(difference, 'dice', True)}, ")
    if paired.interval is None:
        reason += "too few cases or patients for an interval."
    else:
        equal = "; it includes 0, so both may be equally accurate" if paired.interval[0] <= 0 else ""
        reason += f"95 % interval {interval_text(paired.interval, 'dice')}{equal}."
    first, second = (ConfigurationDice(name, round(means[name], 6)) for name in names)
    return ConfigurationChoice(arch, width, chosen, reason, folds, len(pairs), (first, second), round(difference, 6),
                               paired.interval)


def words(choice: ConfigurationChoice) -> str:
    """Return the choice in a sentence for notes, for example `unet pocket: 2D is used. Mean validation Dice …`."""
    arch, name = choice.used
    _, unused = choice.unused
    return (f"{arch} {choice.width}: {choice.chosen.upper()} is used ({name}), {unused} is not. {choice.reason}")


def mark(choices: Sequence[ConfigurationChoice] | None, arch: str, width: str) -> str:
    """Return `CHOSEN` or `NOT_CHOSEN` for a network with two configurations; empty for others."""
    for choice in choices or ():
        if (arch, width) in (choice.used, choice.unused):
            return CHOSEN if (arch, width) == choice.used else NOT_CHOSEN
    return ""


def reference_of(choices: Sequence[ConfigurationChoice], arch: str, width: str, reference: str) -> str:
    """Return the name of the network that a width is compared with.

    Args:
        choices: The choices of all networks; without them, a configuration is compared with the same one.
        arch: Architecture of the network.
        width: Its name.
        reference: Width of the other network, `full`.
    """
    for choice in choices:
        if (choice.arch, choice.width) == (arch, reference):
            return choice.used[1]
    own = configuration_of(width)
    return configured(reference, own) if own else reference
