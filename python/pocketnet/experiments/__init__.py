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
    from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
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

    of_all = {"throughput": throughput, "profile": profile, "ablation": ablation, "activations": activations,
              "multiclass": multiclass, "pruning": pruning}
    by_task = {
        SEGMENTATION: {"accuracy": accuracy.tabulate, "saturation": saturation.tabulate},
        CLASSIFICATION: {"accuracy": classification.accuracy, "saturation": classification.saturation},
    }
    tables = {name: module.tabulate for name, module in of_all.items()} | by_task[inputs.task]
    return tables[inputs.name](inputs)
