"""How a trained network is used, decided on training references and validation cases: a part of `provenance.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from .base import Record, record
from .fields import AboveZero, CaseName, Count, Flag, NotNegative, Number, Prose, Share, Text, absent

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


WindowChoice = Literal["plan", "sparse", "large", "padded"]
"""Ways to lay windows, as in `inference.options.Options.windows`."""
WINDOW_CHOICES: tuple[WindowChoice, ...] = ("plan", "sparse", "large", "padded")
"""The same, from the paper's windows to those that differ most from them."""
OF_PATCH_SIZE: tuple[WindowChoice, ...] = ("plan", "sparse")
"""Those with windows of the training's patch, which every engine takes."""
MOST_LOSS = 0.0005
"""Loss of mean validation Dice from which other windows than the plan's are refused."""
MOST_DOUBT = 0.002
"""The same for the loss at its upper 95 % confidence limit: a small mean of few cases shows nothing."""
WORTH = 0.002
"""Minimum gain of mean validation Dice for which predictions of mirrored images are averaged."""


@record
class Measured(Record):
    """A way to use a network, and its result on the validation cases.

    Attributes:
        way: The windows, or `mirrored`.
        dice: Mean validation Dice over labels; None if it was not measured.
        worst: Lowest difference of a case's mean Dice from the first way.
        limit: Lower one-sided 95 % confidence limit of the mean of these differences.
        cost: Voxels that the network computes, relative to the plan's windows without mirroring.
    """

    way: Text
    dice: Share | None
    worst: Number | None
    limit: Number | None
    cost: AboveZero


@record
class WindowDecision(Record):
    """Which windows the network takes by default, and why.

    Attributes:
        chosen: The windows.
        reason: Why.
        cases: Number of validation cases that were predicted in each way that was measured.
        tried: The ways that were considered; first the plan's windows.
    """

    chosen: WindowChoice
    reason: Prose
    cases: Count
    tried: tuple[Measured, ...]


@record
class MirroringDecision(Record):
    """Whether predictions of mirrored images are averaged by default, and why.

    Attributes:
        chosen: Whether they are.
        reason: Why.
        cases: As in `WindowDecision`.
        tried: Without and with mirrored images.
    """

    chosen: Flag
    reason: Prose
    cases: Count
    tried: tuple[Measured, ...]


@record
class CaseDice(Record):
    """A validation case's result.

    Attributes:
        case: Name of the case.
        dice: Mean Dice over its annotated labels.
    """

    case: CaseName
    dice: Share


@record
class Decisions(Record):
    """What was decided after a training.

    Attributes:
        references: Number of training references; 0 if the postprocessing was not decided.
        predictions: Number of validation cases that were predicted for the postprocessing.
        postprocessing: One decision per label; none if the plan leaves nothing to decide.
        windows: None if it was not decided.
        mirroring: None if it was not decided.
        validation: All validation cases, predicted as decided; only if the plan has another configuration beside it.
    """

    references: Count
    predictions: Count
    postprocessing: tuple[LabelDecision, ...]
    windows: WindowDecision | None = absent()
    mirroring: MirroringDecision | None = absent()
    validation: tuple[CaseDice, ...] | None = absent()

    def operations(self) -> dict[str, Operations]:
        """Return the chosen operations by label."""
        return {one.label: one.operations for one in self.postprocessing}


def shared(several: Sequence[Operations]) -> Operations:
    """Return the operations that all of these have in common, the smallest of their sizes included."""
    return Operations(all(one.largest_component for one in several), min(one.smallest_mm3 for one in several),
                      all(one.fill_holes for one in several))


def combined(several: Sequence[Decisions | None]) -> Decisions | None:
    """Return the decisions for the mean of several networks: what all of them decided; None if one decided nothing.

    The validation Dice is the mean of the networks' own, if all are of the same cases: of one fold.
    """
    known = [one for one in several if one is not None]
    if len(known) < len(several) or not known:
        return None
    if len(known) == 1:
        return known[0]
    chosen, reason = [one.operations() for one in known], f"What all {len(known)} networks decided."
    labels = [label for label in chosen[0] if all(label in own for own in chosen)]
    validation = [one.validation for one in known if one.validation]
    same = len(validation) == len(known) and len({tuple(each.case for each in one) for one in validation}) == 1
    windows = [one.windows for one in known if one.windows]
    mirroring = [one.mirroring for one in known if one.mirroring]
    return Decisions(
        min(one.references for one in known), min(one.predictions for one in known),
        tuple(LabelDecision(label, shared([own[label] for own in chosen]), reason, None, None, ())
              for label in labels),
        WindowDecision(min((one.chosen for one in windows), key=WINDOW_CHOICES.index), reason,
                       min(one.cases for one in windows), ()) if len(windows) == len(known) else None,
        MirroringDecision(all(one.chosen for one in mirroring), reason, min(one.cases for one in mirroring), ())
        if len(mirroring) == len(known) else None,
        tuple(CaseDice(of_case[0].case, sum(one.dice for one in of_case) / len(of_case))
              for of_case in zip(*validation, strict=True)) if same else None)


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


def windows_of(several: Sequence[Decisions | None]) -> WindowChoice | None:
    """Return the windows that were decided on; None if a network has no such decision."""
    found = combined(several)
    return found.windows.chosen if found and found.windows else None


def mirrored_of(plan: Plan, several: Sequence[Decisions | None]) -> bool:
    """Return whether predictions of mirrored images are averaged; arguments as of `operations_of`."""
    wanted = plan.inference.mirrored
    if isinstance(wanted, bool):
        return wanted
    found = combined(several)
    return bool(found and found.mirroring and found.mirroring.chosen)
