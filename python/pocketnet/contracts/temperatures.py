"""`temperatures.json` of a model folder: from the network's probabilities to calibrated ones, label by label.

The calibrated probability of a label is σ(logit(p) / temperature + bias), with p as the network has it. All of it is
from validation cases, which the network that predicted them had not been trained on.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from .base import Contract, Record, record
from .fields import AboveZero, Count, NotNegative, Number, Positive, Share, Text, Unique


@record
class Bin(Record):
    """The voxels of a bin of the reliability diagram.

    Attributes:
        probability: Their mean probability.
        observed: Share of them that have the label in the reference.
        voxels: Their number.
    """

    probability: Share
    observed: Share
    voxels: Positive


@record
class Reliability(Record):
    """How probabilities agree with the truth.

    Attributes:
        ece: Expected calibration error, 0 (best) to 1 (Guo et al., ICML 2017, Eq. 5).
        bins: The bins that have voxels.
    """

    ece: NotNegative
    bins: tuple[Bin, ...]


@record
class LabelTemperature(Record):
    """The temperature and the bias of a label.

    Attributes:
        label: Name of the label.
        temperature: Above 1 if the network is too sure; None if no validation case has the label.
        bias: Below 0 if the network finds too much of the label; None likewise.
        cases: Validation cases that have it.
        before: With the network's probabilities.
        after: With calibrated ones, each case as the other cases say.
    """

    label: Text
    temperature: AboveZero | None
    bias: Number | None
    cases: Count
    before: Reliability | None
    after: Reliability | None


@record
class Temperatures(Contract):
    """The temperatures of the networks of a cross-validation; the validation cases of all folds give one per label.

    Attributes:
        run_keys: Run keys of the networks, in the order of the folds.
        predictions: Number of predictions that were averaged at each voxel.
        cases: Number of validation cases.
        labels: One temperature per label, in their order.
    """

    kind: ClassVar[str] = "temperatures"
    writer: ClassVar[str | None] = "calibrate"
    run_keys: Annotated[Unique[Text], Field(min_length=1)]
    predictions: Positive
    cases: Positive
    labels: Annotated[tuple[LabelTemperature, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Any:
        if any((one.before is None) != (one.after is None) for one in self.labels):
            raise ValueError("before and after together")
        if any((one.temperature is None) != (one.bias is None) for one in self.labels):
            raise ValueError("temperature and bias together")
        return self
