"""How to predict: what a person may choose."""

from __future__ import annotations

from dataclasses import dataclass

WINDOWS = ("auto", "plan", "sparse", "large")
SPARSE_OVERLAP = 0.25
"""It costs Dice where patches are small beside the image (docs/results/inference.md)."""


@dataclass(frozen=True)
class Options:
    """How to predict.

    Attributes:
        engine: `auto`, `openvino` or `tensorflow`.
        threads: CPU threads; None for all cores.
        windows: `plan`: the paper's, as the model's plan says; `large`: few large ones (OpenVINO), smaller ones only to
            keep to the memory; `auto`: `large`, or where the network cannot take them the plan's; `sparse`: of the
            plan's size, but overlapping by a quarter. All but `plan` leave out windows that are empty.
        tta: Average over mirrored images, too, along the axes that training mirrored; None as the model's plan says.
        precision: `float32`, or `bfloat16`.
        max_memory_mib: Most memory of the whole process; None for what is usual (`memory.DEFAULT_MIB`), unless the
            case needs more.
    """

    engine: str = "auto"
    threads: int | None = None
    windows: str = "auto"
    tta: bool | None = None
    precision: str = "float32"
    max_memory_mib: float | None = None
