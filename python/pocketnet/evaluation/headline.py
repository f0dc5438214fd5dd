"""The metric that a task's verdict is on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Headline:
    """The metric of a verdict, and the words for it.

    Attributes:
        metric: Name of the metric in `comparison.json`.
        title: Display name.
        difference: Display name of the difference of two networks.
        test: Author of the test of the difference.
        per_class: Whether there is a verdict per class, which the text then names.
        untrained: Expected value for a network that has learned nothing.
        skill: What a better network does, with the verb: "finds the labels".
    """

    metric: str
    title: str
    difference: str
    test: str
    per_class: bool
    untrained: float
    skill: str
