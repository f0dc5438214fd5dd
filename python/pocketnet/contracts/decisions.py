"""How a trained network is used, decided on training references and validation cases: a part of `provenance.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .base import Record, record
from .fields import Count, Flag, NotNegative, Prose, Share, Text

if TYPE_CHECKING:
    from .plan import Plan


@record
class Operations(Record):
    """Postprocessing of a label, in this order.

    Attributes:
        largest_component: Whether to keep only the largest face-connected component.
        smallest_mm3: Remove components smaller than this, in mm³ (product of the spacings); 0 removes none.
        fill_holes: Whether to fill background that the label encloses.
    """

    largest_component: Flag = False
    smallest_mm3: NotNegative = 0.0
    fill_holes: Flag = False

    def __bool__(self) -> bool:
        return self.largest_component or self.smallest_mm3 > 0 or self.fill_holes

    @property
    def words(self) -> str:
        """The operations in words."""
        said = ["largest component"] if self.largest_component else []
        if self.smallest_mm3:
            said.append(f"no components below {self.smallest_mm3:.4g} mm³")
        return ", ".join([*said, *(["holes filled"] if self.fill_holes else [])]) or "none"


NOTHING = Operations()
PAPER = Operations(largest_component=True)
"""The paper's postprocessing of each label."""


@record
class Tried(Record):
    """An operation that was considered for a label.

    Attributes:
        operation: What it does.
        harm: Loss of Dice of the training reference that loses most, if the operation is applied to it.
        dice: Mean validation Dice with the operation; None if it was not tried because it harms a reference.
    """

    operation: Text
    harm: Share
    dice: Share | None


@record
class LabelDecision(Record):
    """The postprocessing of a label, and why.

    Attributes:
        label: Name of the label.
        operations: What was chosen.
        reason: Why.
        dice_before, dice_after: Mean validation Dice without and with all chosen operations; None if no case was
            predicted.
        tried: The operations that were considered.
    """

    label: Text
    operations: Operations
    reason: Prose
    dice_before: Share | None
    dice_after: Share | None
    tried: tuple[Tried, ...]


@record
class Decisions(Record):
    """What was decided after a training.

    Attributes:
        references: Number of training references.
        predictions: Number of validation cases that were predicted.
        postprocessing: One decision per label.
    """

    references: Count
    predictions: Count
    postprocessing: tuple[LabelDecision, ...]

    def operations(self) -> dict[str, Operations]:
        """Return the chosen operations by label."""
        return {one.label: one.operations for one in self.postprocessing}


def shared(several: Sequence[Operations]) -> Operations:
    """Return the operations that all of these have in common, the smallest of their sizes included."""
    return Operations(all(one.largest_component for one in several), min(one.smallest_mm3 for one in several),
                      all(one.fill_holes for one in several))


def combined(several: Sequence[Decisions | None]) -> Decisions | None:
    """Return the decisions for the mean of several networks: what all of them decided; None if one decided nothing."""
    known = [one for one in several if one is not None]
    if len(known) < len(several) or not known:
        return None
    if len(known) == 1:
        return known[0]
    chosen = [one.operations() for one in known]
    return Decisions(
        min(one.references for one in known), min(one.predictions for one in known),
        tuple(LabelDecision(label, shared([own[label] for own in chosen]),
                            f"What all {len(known)} networks decided.", None, None, ()) for label in chosen[0]))


def operations_of(plan: Plan, several: Sequence[Decisions | None]) -> dict[str, Operations]:
    """Return the operations of each label that has any.

    Args:
        plan: The plan of the networks; its explicit setting comes before the decisions.
        several: The decisions of each network.
    """
    wanted = plan.inference.largest_component
    if isinstance(wanted, bool):
        return {label.name: PAPER for label in plan.labels} if wanted else {}
    found = combined(several)
    return {label: one for label, one in found.operations().items() if one} if found else {}
