"""Serve a classifier: files in, probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .classifier import Classifier


def suffix(content: bytes) -> str:
    """Return the suffix of an image file by its first bytes."""
    return ".png" if content.startswith(b"\x89PNG") else ".jpg"


def load(folder: Path) -> Classifier:
    """Open a model folder."""
    return Classifier.load(folder)


def answer(network: Classifier, images: Sequence[Path]) -> dict[str, Any]:
    """Classify the images of a case, and return the probability of each class."""
    return dict(network.classify_files(images))
