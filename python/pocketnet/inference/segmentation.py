"""Serve a segmentation model: files in, a label map out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .options import ANSWER
from .predictor import Predictor


def suffix(content: bytes) -> str:
    """Return the suffix of an image file by its first bytes."""
    return ".nii.gz" if content.startswith(b"\x1f\x8b") else ".nii"


def load(folder: Path) -> Predictor:
    """Open a model folder."""
    return Predictor.load(folder)


def answer(network: Predictor, images: Sequence[Path]) -> dict[str, Any]:
    """Segment the images of a case, and return the label map as the content of a `.nii.gz` file."""
    output = images[0].with_name("segmentation.nii.gz")
    network.segment_files(images, output)
    return {ANSWER: output.read_bytes()}
