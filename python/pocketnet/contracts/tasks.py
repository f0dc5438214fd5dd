"""The tasks, and what the files between the steps and the planning need to know of each.

What a room does differently by task is in the room's own `tasks.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import UsageError

SEGMENTATION: Literal["segmentation"] = "segmentation"
CLASSIFICATION: Literal["classification"] = "classification"
Task = Literal["segmentation", "classification"]
DEFAULT: Task = SEGMENTATION
"""Task of a file that names none."""
LABEL_METRICS = ("dice", "hd95_mm", "asd_mm", "nsd_1mm")
"""Metrics by which networks for segmentation are compared."""
CLASS_METRICS = ("auc", "accuracy", "sensitivity", "specificity")
"""Metrics by which networks for classification are compared."""


@dataclass(frozen=True)
class TaskRules:
    """The properties of a task.

    Attributes:
        first_value: Value of the first label. The network has an output for each label and for each smaller value:
            in a segmentation, 0 is the background.
        per_voxel: Whether the network predicts every voxel, instead of an image as a whole.
        dimensions: Axes of an image.
        reference: Field of `manifest.Case` with the true result.
        stratified: Whether every part of a split keeps the proportions of the references.
        resized: Whether every image is resized to the plan's patch.
        losses: Losses that suit the task, the paper's first.
        metrics: Metrics by which networks are compared.
        paper_batch: Batch size of the paper's networks.
        cases_per_job: Cases that one job of the pipeline preprocesses or predicts.
        one_table: Whether the predictions for a fold are one table, which one job writes.
    """

    first_value: int
    per_voxel: bool
    dimensions: Literal[2, 3]
    reference: Literal["label", "class_name"]
    stratified: bool
    resized: bool
    losses: tuple[str, ...]
    metrics: tuple[str, ...]
    paper_batch: int
    cases_per_job: int
    one_table: bool


TASKS: dict[str, TaskRules] = {
    SEGMENTATION: TaskRules(
        first_value=1, per_voxel=True, dimensions=3, reference="label", stratified=False, resized=False,
        losses=("l2_dice", "dice_cross_entropy", "cross_entropy", "tversky", "focal_tversky",
                "tversky_cross_entropy", "dice_cross_entropy_boundary"),
        metrics=LABEL_METRICS, paper_batch=2, cases_per_job=20, one_table=False),
    CLASSIFICATION: TaskRules(
        first_value=0, per_voxel=False, dimensions=2, reference="class_name", stratified=True, resized=True,
        losses=("cross_entropy",), metrics=CLASS_METRICS, paper_batch=32,
        cases_per_job=1000, one_table=True),
}


def check_task(found: str, expected: str, where: object) -> None:
    """Check that a model is for the expected task.

    Args:
        found: Task of the model's plan.
        expected: Task of the program that is to use it.
        where: The model folder, for the message.

    Raises:
        UsageError: The tasks differ.
    """
    if found != expected:
        raise UsageError(f"This model is for {found}, not for {expected}.", where=str(where))
