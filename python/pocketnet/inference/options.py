"""User options for inference."""

from __future__ import annotations

from dataclasses import dataclass

ANSWER = "segmentation"
"""Column of a served model's answer with the label map."""
WINDOWS = ("auto", "plan", "sparse", "large", "padded")
SPARSE_OVERLAP = 0.25
"""Overlap of `sparse` windows; lowers Dice if patches are small relative to the image (docs/results/inference.md)."""


@dataclass(frozen=True)
class Options:
    """Inference options.

    Attributes:
        engine: `auto`, `openvino` or `tensorflow`.
        threads: CPU threads; None for all cores.
        windows: `plan`: the paper's windows, as in the model's plan. `large`: few large windows (OpenVINO), as large
            as memory allows. `padded`: the same, and the image is padded with zeros to the sides that the network
            needs. `auto`: what the validation cases decided on (`decisions.WindowDecision`); without a decision
            `large`, or `plan` if the network does not support other sizes. `sparse`: windows of the plan's size that
            overlap by a quarter. All except `plan` skip empty windows.
        tta: Whether to average over images mirrored along the axes that were mirrored in training; None to follow the
            model's plan.
        precision: `float32` or `bfloat16`.
        max_memory_mib: Memory limit of the whole process in MiB. None for `memory.DEFAULT_MIB`, exceeded only if the
            case needs more.
        missing: Modalities of the model that the images lack. Only for models whose training left modalities out.
        accept, reject: Thresholds of the statement with each case; None for those of the model's calibration.
    """

    engine: str = "auto"
    threads: int | None = None
    windows: str = "auto"
    tta: bool | None = None
    precision: str = "float32"
    max_memory_mib: float | None = None
    missing: tuple[str, ...] = ()
    accept: float | None = None
    reject: float | None = None
