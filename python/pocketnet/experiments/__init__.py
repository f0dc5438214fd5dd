"""The paper's experiments: compute a table and a figure from a run's files. One module per experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .inputs import Inputs
    from .outcome import Outcome


def tabulate(inputs: Inputs) -> Outcome:
    """Draw the table and figure of the experiment named in `inputs`.

    Raises:
        UsageError: If `inputs` lacks files that the experiment needs.
    """
    from . import (
        ablation,
        accuracy,
        activations,
        classification,
        multiclass,
        profile,
        pruning,
        saturation,
        throughput,
    )

    if inputs.task == "classification" and inputs.name == "accuracy":
        return classification.accuracy(inputs)
    if inputs.task == "classification" and inputs.name == "saturation":
        return classification.saturation(inputs)
    return {"accuracy": accuracy, "throughput": throughput, "profile": profile, "ablation": ablation,
            "activations": activations, "saturation": saturation, "multiclass": multiclass,
            "pruning": pruning}[inputs.name].tabulate(inputs)
