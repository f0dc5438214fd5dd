"""Whether volumes are segmented slice by slice or in 3D: a part of `plan.json`, and the choice in `comparison.json`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from ..models.widths import configured
from .base import Record, record
from .fields import Count, Interval, Number, Positive, Prose, Share, Text, absent

Dimensions = Literal["2d", "3d"]
CONFIGURATIONS: tuple[str, ...] = ("auto", *get_args(Dimensions))


@record
class Configuration(Record):
    """Whether volumes are segmented slice by slice or in 3D.

    Attributes:
        name: `2d`: a network of planes, see `NetworkPlan.kernel`; `3d`.
        reason: Why, with the measured shape and spacing.
        beside: The other configuration, if networks are trained in both: the validation Dice of all validation cases is
            then measured after the training, for the choice between them.
    """

    name: Dimensions
    reason: Text
    beside: Dimensions | None = absent()

    @model_validator(mode="after")
    def _check(self) -> Any:
        if self.beside == self.name:
            raise ValueError(f"another configuration beside {self.name}")
        return self


@record
class ConfigurationDice(Record):
    """A configuration's result.

    Attributes:
        name: The configuration.
        dice: Mean validation Dice, over the labels of a case and then over cases and folds.
    """

    name: Dimensions
    dice: Share


@record
class ConfigurationChoice(Record):
    """Which of two configurations of a network is used, and why.

    Attributes:
        arch, width: The network.
        chosen: The configuration with the higher mean validation Dice.
        reason: Why, with the figures.
        folds: Folds whose validation cases were compared.
        cases: Number of pairs, one per fold and validation case.
        results: Both configurations.
        difference: Mean of chosen − other over pairs.
        interval: 95 % confidence interval of the difference; None for fewer than two cases or groups.
    """

    arch: Text
    width: Text
    chosen: Dimensions
    reason: Prose
    folds: Annotated[tuple[Count, ...], Field(min_length=1)]
    cases: Positive
    results: Annotated[tuple[ConfigurationDice, ConfigurationDice], Field(min_length=2, max_length=2)]
    difference: Number
    interval: Interval | None

    @model_validator(mode="after")
    def _check(self) -> Any:
        if self.results[0].name == self.results[1].name:
            raise ValueError("results of two configurations")
        return self

    @property
    def used(self) -> tuple[str, str]:
        """Architecture and name of the network that is used."""
        return self.arch, configured(self.width, self.chosen)

    @property
    def unused(self) -> tuple[str, str]:
        """Architecture and name of the other network."""
        return self.arch, configured(self.width, next(one.name for one in self.results if one.name != self.chosen))
